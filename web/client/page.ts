// Pages that the server renders and that need nothing else from a script than the token, and to stay fresh.
import { stayFresh } from './live.js';
import { signIn } from './server-page.js';

await signIn();
stayFresh();
