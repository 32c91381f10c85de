// The frame of the plain pages: one style, light and dark by the reader's choice, nothing from outside, no script.
import { html, raw } from 'hono/html';

const style = `
:root { color-scheme: light dark; --ink: #1a1c1e; --soft: #5b6168; --line: #d9dde2; --back: #fff; --box: #f5f6f8; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #9aa2ab; --line: #343a41; --back: #14171a; --box: #1d2125; --accent: #7ab7ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.75rem 0 .25rem; font-size: 1rem; } p { margin: .35rem 0; } .soft { color: var(--soft); }
a { color: var(--accent); } code, pre { font: .88em ui-monospace, monospace; }
pre { background: var(--box); padding: .6rem .8rem; overflow-x: auto; border-radius: 6px; margin: .4rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .4rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; color: var(--soft); }
details > summary { cursor: pointer; color: var(--accent); } .method { display: inline-block; min-width: 3.6em; font-weight: 700; }
nav a { margin-right: 1rem; } a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
`;

export const pagePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export function layout(title: string, content: ReturnType<typeof html>) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <style>
          ${raw(style)}
        </style>
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`;
}
