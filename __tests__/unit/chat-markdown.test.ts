import { describe, expect, test } from '@jest/globals';
import { type Random, withRandom } from '../support/random.ts';

type Inline =
  | string
  | { type: 'code'; text: string }
  | { type: 'link'; text: string; href: string }
  | { type: 'strong' | 'em' | 'del'; children: Inline[] };

type Block =
  | { type: 'text'; content: Inline[] }
  | { type: 'code'; text: string; language: string }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'list'; sign: string; items: { number: string; blocks: Block[] }[] };

const module = '../../public/chat/markdown.js';
const { blocksOf } = (await import(module)) as { blocksOf: (text: string) => Block[] };

/** Returns parts of a text with tags. A `<` of the message itself stays as it is. */
const inlineTags = (parts: readonly Inline[]): string =>
  parts
    .map((part) => {
      if (typeof part === 'string') return part;
      if (part.type === 'code') return `<code>${part.text}</code>`;
      if (part.type === 'link') return `<a>${part.text}</a>`;
      return `<${part.type}>${inlineTags(part.children)}</${part.type}>`;
    })
    .join('');

const tags = (blocks: readonly Block[]): string =>
  blocks
    .map((block) => {
      if (block.type === 'text') return `<p>${inlineTags(block.content)}</p>`;
      if (block.type === 'code') return `<pre ${block.language}>${block.text}</pre>`;
      if (block.type === 'quote') return `<quote>${tags(block.blocks)}</quote>`;
      const items = block.items.map(({ number, blocks: inner }) => `<li ${number}>${tags(inner)}</li>`);
      return `<list ${block.sign}>${items.join('')}</list>`;
    })
    .join('');

const inlineText = (parts: readonly Inline[]): string =>
  parts
    .map((part) =>
      typeof part === 'string' ? part : 'children' in part ? inlineText(part.children) : part.text,
    )
    .join('');

/** All that a reader sees of it. */
const textOf = (blocks: readonly Block[]): string =>
  blocks
    .map((block) => {
      if (block.type === 'text') return inlineText(block.content);
      if (block.type === 'code') return `${block.language}\n${block.text}`;
      if (block.type === 'quote') return textOf(block.blocks);
      return block.items.map(({ number, blocks: inner }) => `${number} ${textOf(inner)}`).join('\n');
    })
    .join('\n');

/** All but white space and what may be markup. */
const letters = (text: string): string => text.replace(/[\s`*_~>.)-]/g, '');

const depthOf = (parts: readonly (Inline | Block)[]): number =>
  Math.max(
    0,
    ...parts.map((part) => {
      if (typeof part === 'string') return 0;
      if ('children' in part) return 1 + depthOf(part.children);
      if ('content' in part) return depthOf(part.content);
      if ('blocks' in part) return 1 + depthOf(part.blocks);
      if ('items' in part) return 1 + depthOf(part.items.flatMap(({ blocks }) => blocks));
      return 0;
    }),
  );

describe('the markup of a message', () => {
  test.each([
    ['**bold** and __bold__', '<strong>bold</strong> and <strong>bold</strong>'],
    ['*it* and _it_', '<em>it</em> and <em>it</em>'],
    ['***both***', '<em><strong>both</strong></em>'],
    ['~~gone~~', '<del>gone</del>'],
    ['**bold *it***', '<strong>bold <em>it</em></strong>'],
    ['*a **b** _c_ d*', '<em>a <strong>b</strong> <em>c</em> d</em>'],
    ['**Name**: x, "*quoted*" (_it_).', '<strong>Name</strong>: x, "<em>quoted</em>" (<em>it</em>).'],
    [
      '**a *b** c* **d e* f** *g **h* ***i** j*',
      '<strong>a *b</strong> c* <strong>d e* f</strong> <em>g **h</em> <em><strong>i</strong> j</em>',
    ],
    ['*two\nlines*', '<em>two\nlines</em>'],
    ['`a *b* <i> www.x.org` *c*', '<code>a *b* <i> www.x.org</code> <em>c</em>'],
    ['``a ` b`` `` ` ``', '<code>a ` b</code> <code>`</code>'],
    ['text ```x``` y', 'text <code>x</code> y'],
    [
      '这是**粗体**文字，**这是「粗体」**文字',
      '这是<strong>粗体</strong>文字，<strong>这是「粗体」</strong>文字',
    ],
    ['**볼드**는', '<strong>볼드</strong>는'],
    ['🎉**bold**🎉️', '🎉<strong>bold</strong>🎉️'],
    ['**https://a.example/x_y**', '<strong><a>https://a.example/x_y</a></strong>'],
    ['_see https://a.example/b_', '<em>see <a>https://a.example/b</a></em>'],
  ])('the inline markup %j becomes %j', (text, inside) => {
    expect(tags(blocksOf(text))).toBe(`<p>${inside}</p>`);
  });

  test.each([
    ['```js\na\n  b\n\n\tc\n```\nafter', '<pre js>a\n  b\n\n\tc</pre><p>after</p>'],
    ['```\nnot closed\n  *x*', '<pre >not closed\n  *x*</pre>'],
    ['~~~\n```\n~~~', '<pre >```</pre>'],
    ['````\n```\n````', '<pre >```</pre>'],
    ['```\na\nb```\nend', '<pre >a\nb</pre><p>end</p>'],
    ['```let a = 1;\nb```', '<pre >let a = 1;\nb</pre>'],
    ['> a\n> *b*\nanswer', '<quote><p>a\n<em>b</em></p></quote><p>answer</p>'],
    ['> a\n>\n>> b', '<quote><p>a</p><quote><p>b</p></quote></quote>'],
    ['> ```\n> a\n> ```\nb', '<quote><pre >a</pre></quote><p>b</p>'],
    ['- one', '<list -><li ><p>one</p></li></list>'],
    [
      'do:\n- a\n- **b**\n\nthanks',
      '<p>do:</p><list -><li ><p>a</p></li><li ><p><strong>b</strong></p></li></list><p>thanks</p>',
    ],
    ['- a\nnot of it', '<list -><li ><p>a</p></li></list><p>not of it</p>'],
    ['1. a\n1. b\n7. c', '<list .><li 1><p>a</p></li><li 1><p>b</p></li><li 7><p>c</p></li></list>'],
    ['3) a\n* b', '<list )><li 3><p>a</p></li></list><list *><li ><p>b</p></li></list>'],
    [
      '1. a\n  - b\n     ```\n     x\n\n       y\n     ```\n2. c',
      '<list .><li 1><p>a</p><list -><li ><p>b</p><pre >x\n\n  y</pre></li></list></li><li 2><p>c</p></li></list>',
    ],
    ['t\n\n> a\n\n\n  end', '<p>t</p><quote><p>a</p></quote><p>\n  end</p>'],
  ])('the markup %j becomes the blocks %j', (text, inside) => {
    expect(tags(blocksOf(text))).toBe(inside);
  });

  test.each([
    '2*3*4 and 2 * 3 * 4 and 2**n*m**2',
    'snake_case_words, _x1_2, __init__.py',
    'a < b && c > d || e',
    'src/*.js, lib/*.js, **/*.ts and **/*.js',
    'f(*a, *b); int *p = *q, **r; SELECT * FROM a',
    '¯\\_(ツ)_/¯ (*_*) -_- u_u >_< ^_^ -_-',
    '\\*not\\* \\`code\\` \\_it\\_',
    '**a, b**c, `d, ~~e, ~5 ~6~, *f\n\ng*',
    '**** ____ ~~~~ ** __ * _ ` ``',
    '# heading\n## another',
    'heading\n===\nor a rule\n---\n***\n- - -\n* * *',
    '|a|b|\n|-|-|\n|c|d|',
    '<b>x</b> &amp; <!-- y -->',
    '    indented\n\n\n      more  \n\tand a tab',
    '[text](x.png) ![x][y] [y]: z',
    '+ 1\n-5 degrees\n2024. A year\n01. x\n1.5\n-',
    '>_< >:( >5',
    '>\n> \n>>>',
    '```',
    '```\n\n```',
    '\u202eabc\u202c \0 \ud800',
    '',
  ])('the text %j stays as it was written', (text) => {
    expect(blocksOf(text)).toEqual([{ type: 'text', content: [text] }]);
  });

  const repeated = (text: string): string => text.repeat(65_536 / text.length);

  test.each([
    ...[
      '>',
      '> ',
      '*',
      '**a *b ',
      '[',
      '[a](',
      '`',
      '``a`',
      '_a ',
      '~~a ',
      '- ',
      '1) a\n',
      '* a\n',
      '*a\n',
      '> - ',
    ],
    ...[
      'a**b',
      '***a',
      '*(',
      '*a _b ',
      '\\*',
      '```\n',
      '```\n\n',
      '~~~a\n',
      '> a\n\n',
      '- a\n\n',
      ' ',
      '\n',
      '\t- a\n',
    ],
    ...[
      'http://',
      'http://[',
      'https://a(',
      'https://a@',
      'https://a.example/* ',
      'www.',
      '.www.',
      'www.a.b)',
      'https://a.b/...',
      '\\',
    ],
  ])('64 KiB of the markup %j are read to the end, and nest no deeper than allowed', (part) => {
    for (const text of [`${repeated(part)}x`, `*${repeated(part)}x*`]) {
      const blocks = blocksOf(text);
      expect(letters(textOf(blocks))).toBe(letters(text));
      expect(depthOf(blocks)).toBeLessThanOrEqual(16);
    }
  });

  test('markup that opens and closes thousands of times nests no deeper than allowed', () => {
    for (const [opening, closing] of [
      ['*a ', ' b*'],
      ['**a _b ', ' c_ d**'],
      ['~~a *b ', ' c* d~~'],
      ['*(a ', ' b)* '],
    ] as const) {
      const text = opening.repeat(5000) + closing.repeat(5000);
      const blocks = blocksOf(text);
      expect(letters(textOf(blocks))).toBe(letters(text));
      expect(depthOf(blocks)).toBeLessThanOrEqual(16);
      expect(depthOf(blocks)).toBeGreaterThan(1);
    }
    const list = Array.from({ length: 300 }, (_, depth) => `${'  '.repeat(depth)}- a${depth}`).join('\n');
    expect(letters(textOf(blocksOf(list)))).toBe(letters(list));
    expect(depthOf(blocksOf(list))).toBeLessThanOrEqual(16);
  });

  test('the markup of random texts loses no letter, and has no empty text and no two texts in a row', () =>
    withRandom((random) => {
      for (let round = 0; round < 3000; round++) {
        const text = randomText(random);
        const blocks = blocksOf(text);
        expect({ text, letters: letters(textOf(blocks)) }).toEqual({ text, letters: letters(text) });
        // Neither strings in a row nor empty ones: each becomes a node.
        for (const block of blocks)
          if (block.type === 'text')
            for (const [index, part] of block.content.entries())
              expect(
                typeof part === 'string' && (part === '' || typeof block.content[index - 1] === 'string'),
              ).toBe(part === '' && text === '');
      }
      return Promise.resolve();
    }));
});

const PARTS = [
  ...[
    'a',
    'word',
    '7',
    ' ',
    '  ',
    '\n',
    '\n\n',
    '\t',
    '*',
    '**',
    '***',
    '_',
    '__',
    '~~',
    '`',
    '``',
    '```',
    '```js\n',
  ],
  ...[
    '> ',
    '>',
    '- ',
    '* ',
    '1. ',
    '12) ',
    '\n- ',
    '\n  - ',
    '\n> ',
    '\\',
    '[x](',
    ')',
    '(',
    'https://a.example/',
    '王',
  ],
  ...['www.b.example', '<i>', '&amp;', '👩‍👩‍👧', 'é', '\u202e', '.', ':', '"'],
];

function randomText(random: Random): string {
  return Array.from({ length: random.integer(1, 25) }, () => random.pick(PARTS)).join('');
}
