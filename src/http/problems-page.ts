import { STATUS_CODES } from 'node:http';
import { PROBLEM_STATUS, type ProblemKind } from '../errors.ts';
import { problemKinds, PROBLEM_TEXTS } from './problem-kinds.ts';

const ESCAPED: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Returns the page that explains each kind of problem, in HTML. Its links are relative. */
export function problemsPage(): string {
  const kinds = problemKinds();
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Problems · Tidings</title>
    <link rel="icon" href="favicon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="problems.css" />
  </head>
  <body>
    <main>
      <h1>Problems</h1>
      <p>
        This page is for developers of clients. An error of this service is <code>application/problem+json</code> (RFC 9457), and
        its <code>type</code> leads to a section of this page. Match <code>status</code>, <code>type</code> and
        the <code>path</code> of <code>errors</code>, never the words of <code>title</code>, <code>detail</code>
        or <code>message</code>, which may change.
        The whole API is described at <a href="openapi.json">openapi.json</a>.
      </p>
      <ul>
${kinds.map((kind) => `        <li><a href="#${kind}">${PROBLEM_STATUS[kind]} ${kind}</a></li>`).join('\n')}
      </ul>
${kinds.map(section).join('\n')}
    </main>
  </body>
</html>
`;
}

function section(kind: ProblemKind): string {
  const status = PROBLEM_STATUS[kind];
  const { when, remedy } = PROBLEM_TEXTS[kind];
  return `      <section id="${kind}">
        <h2>${status} ${STATUS_CODES[status] ?? ''}: ${kind}</h2>
        <p>${toHtml(when)}</p>
        <p>${toHtml(remedy)}</p>
      </section>`;
}

/** Returns Markdown as HTML. The texts have code in backticks, and nothing else. */
function toHtml(markdown: string): string {
  const escaped = markdown.replace(/[&<>"]/g, (character) => ESCAPED[character] ?? '');
  return escaped.replace(/`([^`]+)`/g, '<code>$1</code>');
}
