// Applies the migrations to DATABASE_URL: the one-shot before the API and the workers start. Needs `npm run build` first.
import { migrate } from '../dist/db/migrate.js';

const url = process.env.DATABASE_URL;
if (!url) throw new Error('DATABASE_URL is not set');
await migrate(url);
