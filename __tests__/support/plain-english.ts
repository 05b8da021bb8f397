/** The habits of wording that a reader stumbles over, and how to find them in docs, comments and texts of the program. */
import { extname } from 'node:path';
import ts from 'typescript';

/** A piece of a file that people read. */
interface Passage {
  /** That of its first character, from 1. */
  readonly line: number;
  readonly text: string;
  /** Docs may put a question into a heading or a table; a comment or an error may not begin with one. */
  readonly kind: 'docs' | 'comment' | 'string';
}

interface Habit {
  readonly pattern: RegExp;
  readonly instead: string;
}

const EVERYWHERE: readonly Habit[] = [
  {
    pattern: /\bwhere (?:there (?:is|are|was|were|has|have)|no|none|nothing)\b/i,
    instead: 'if or when: "where" is for a place',
  },
  {
    pattern: /\b(?:is|are|was|were|be) over\b(?! ?(?:\d|an? |the |https?))/i,
    instead: 'has ended, or has expired',
  },
  { pattern: /\banew\b/i, instead: 'again' },
  { pattern: /\bfor ever\b/i, instead: 'forever' },
  { pattern: /\bat the most\b/i, instead: 'at most' },
  { pattern: /\b(?:has|have|had) to be\b/i, instead: 'must be' },
  { pattern: /\baffairs? of\b|\bown affair\b/i, instead: 'say who handles it' },
  { pattern: /\b(?:be|is|are) passed over\b/i, instead: 'ignored' },
  { pattern: /\bin masses\b/i, instead: 'in bursts' },
  { pattern: /\bmeans ill\b/i, instead: 'is malicious' },
  { pattern: /\b(?:went|go|goes|gone) back in time\b/i, instead: 'was restored from an older backup' },
  { pattern: /\bin private\b/i, instead: 'privately' },
];

/** Comments are no questions: a function's begins with a verb, that of anything else with a noun. */
const AT_THE_START: Habit = {
  pattern: /^(?:what|who|whom|whose|whoever|whatever|where|wherever|those|that which)\b(?!.*\?)/i,
  instead: 'begin with a verb, or with a noun',
};

/** A place that is to be rewritten. */
export interface Finding {
  readonly line: number;
  /** The words found. */
  readonly words: string;
  readonly instead: string;
}

/**
 * Finds the habits in one file. Code, quoted output and whatever stands in backticks or double quotes are left out.
 *
 * @param name decides by its ending how the text is read: `.md`, or `.ts` and `.js`; of any other nothing is read
 */
export function habitsIn(name: string, text: string): Finding[] {
  return passagesOf(name, text).flatMap((passage) => findingsIn(passage));
}

function passagesOf(name: string, text: string): Passage[] {
  switch (extname(name)) {
    case '.md':
      return passagesOfMarkdown(text);
    case '.ts':
    case '.js':
      return passagesOfProgram(name, text);
    default:
      return [];
  }
}

/** Returns the paragraphs, list items, headings and rows of tables, without blocks of code. */
function passagesOfMarkdown(text: string): Passage[] {
  const passages: Passage[] = [];
  let inCode = false;
  let begun: { line: number; lines: string[] } | undefined;
  const end = (): void => {
    if (begun !== undefined) passages.push({ line: begun.line, text: begun.lines.join(' '), kind: 'docs' });
    begun = undefined;
  };
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:```|~~~)/.test(line)) {
      inCode = !inCode;
      end();
    } else if (!inCode) {
      if (/^\s*(?:$|#|\||[-*] |\d+\. )/.test(line)) end();
      if (line.trim() !== '') (begun ??= { line: index + 1, lines: [] }).lines.push(line.trim());
    }
  }
  end();
  return passages;
}

/** Returns the comments of a program, and its strings of more than one word. */
function passagesOfProgram(name: string, text: string): Passage[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  const passages = new Map<number, Passage>();
  const addComments = (ranges: readonly ts.CommentRange[] | undefined): void => {
    for (const { pos, end } of ranges ?? []) {
      passages.set(pos, { line: lineOf(pos), text: plainComment(text.slice(pos, end)), kind: 'comment' });
    }
  };
  const visit = (node: ts.Node): void => {
    addComments(ts.getLeadingCommentRanges(text, node.getFullStart()));
    addComments(ts.getTrailingCommentRanges(text, node.getEnd()));
    if (isText(node) && node.text.trim().includes(' ')) {
      passages.set(node.getStart(), { line: lineOf(node.getStart()), text: node.text, kind: 'string' });
    }
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...passages.values()];
}

type Text = ts.StringLiteralLike | ts.TemplateHead | ts.TemplateMiddle | ts.TemplateTail;

function isText(node: ts.Node): node is Text {
  return (
    ts.isStringLiteralLike(node) ||
    ts.isTemplateHead(node) ||
    ts.isTemplateMiddle(node) ||
    ts.isTemplateTail(node)
  );
}

/** Returns a comment without its marks, and without the tag before a description. */
function plainComment(comment: string): string {
  return comment
    .replace(/^\/\*\*?|\*\/$|^\/\/+/g, '')
    .replace(/\n\s*\*?/g, ' ')
    .trim();
}

function findingsIn({ line, text, kind }: Passage): Finding[] {
  const prose = text.replace(/`[^`]*`|"[^"]*"|“[^”]*”|\]\([^)]*\)/g, (quoted) => ' '.repeat(quoted.length));
  const habits = kind === 'comment' ? [...EVERYWHERE, AT_THE_START] : EVERYWHERE;
  return habits.flatMap(({ pattern, instead }) => {
    const words = pattern.exec(prose)?.[0];
    return words === undefined ? [] : [{ line, words, instead }];
  });
}
