// The frame of every page: one style, light and dark by the reader's choice, scripts and styles from this server only.
import { html } from 'hono/html';
import type { Child } from 'hono/jsx';
import { assetPath } from './asset.js';

/** Nothing inline, nothing from elsewhere. `blob:` shows pictures that were fetched with a token. */
export const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export interface Frame {
  title: string;
  /** A module of web/client, without its ending. */
  script?: string;
  /** The API wants a token: the script asks for one. */
  needsToken?: boolean;
  /** The content is fetched again every so many seconds, and changed in place. */
  refreshSeconds?: number;
  /** The content differs by who reads: without tokens the script says the name that it knows. */
  personal?: boolean;
}

/** A whole page around its content. */
export function layout({ title, script, needsToken, refreshSeconds, personal }: Frame, content: Child) {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href={assetPath('style.css')} />
        {script && <script type="module" src={assetPath(`client/${script}.js`)}></script>}
      </head>
      <body data-token={needsToken ? 'required' : 'none'}>
        <a class="jump" href="#main">
          To the content
        </a>
        <header>
          <nav aria-label="Pages">
            <a href="/">perennial</a>
            <a href="/label">Labeling</a>
            <a href="/campaigns">Campaigns</a>
            <a href="/docs">API</a>
          </nav>
        </header>
        <main id="main" data-refresh={refreshSeconds} data-personal={personal ? 'yes' : undefined}>
          {content}
        </main>
        {refreshSeconds !== undefined && <footer id="freshness"></footer>}
      </body>
    </html>
  );
  return html`<!doctype html>${page}`;
}
