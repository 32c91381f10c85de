// Raw messages in, topics out: texts become n-grams inside the model file.
import { play, type Played, type Say } from '../01-iris/play.js';
import type { Api } from '../digits/client.js';

export const messages = [
  { message: '안녕하세요, 파란 가방이 아직 안 왔는데 언제쯤 도착할까요', channel: 'mail', days_since_order: 9 },
  { message: 'the lamp does not switch on any more 😞', channel: 'chat', days_since_order: null },
  { message: '의자를 반품하고 환불 받고 싶습니다', channel: 'chat', days_since_order: 3 },
];

export function run(api: Api, say?: Say): Promise<Played> {
  return play(api, '08-text', messages, say);
}
