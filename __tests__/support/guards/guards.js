/** The guards in a source file, and its text with one of them taken out. */
import ts from 'typescript';

/**
 * A condition before an early exit (`if (closed) return;`), or a bound (`Math.min(wait, MAX_WAIT)`).
 *
 * @typedef {object} Guard
 * @property {string} file its path, relative to the project
 * @property {number} line
 * @property {string} code its first line, for people
 * @property {number} start the first character that is replaced
 * @property {number} end the character after the last one
 * @property {string} without the text that takes their place
 */

/** A literal or a constant, or an expression of them: the bound of a clamp, rather than its value. */
const BOUND = /^[\dA-Z_.*/+\- ]+$/;

/**
 * Returns the guards of a source file, in the order of their lines.
 *
 * @param {string} file @param {string} text
 */
export function guardsIn(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {Guard[]} */
  const guards = [];
  /** @param {ts.Node} whole @param {ts.Node} replaced @param {string} without */
  const add = (whole, replaced, without) => {
    const start = whole.getStart(source);
    const { line } = source.getLineAndCharacterOfPosition(start);
    const code = whole.getText(source).replaceAll(/\s+/g, ' ').slice(0, 100);
    guards.push({ file, line: line + 1, code, start: replaced.getStart(source), end: replaced.end, without });
  };
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (isExit(node)) add(node, node.expression, 'false');
    else if (isClamp(node)) {
      const kept = node.arguments.find((value) => !BOUND.test(value.getText(source))) ?? node.arguments[0];
      add(node, node, `(${kept?.getText(source) ?? ''})`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return guards.sort((one, other) => one.line - other.line);
}

/** Returns the text of a file with one of its guards taken out. @param {string} text @param {Guard} guard */
export function withoutGuard(text, guard) {
  return text.slice(0, guard.start) + guard.without + text.slice(guard.end);
}

/** Returns whether a node is an `if` without `else`, whose branch leaves the block. @param {ts.Node} node @returns {node is ts.IfStatement} */
function isExit(node) {
  if (!ts.isIfStatement(node) || node.elseStatement !== undefined) return false;
  // The last branch of `else if` chooses; it does not guard.
  if (ts.isIfStatement(node.parent) && node.parent.elseStatement === node) return false;
  const branch = node.thenStatement;
  const last = ts.isBlock(branch) ? branch.statements.at(-1) : branch;
  return (
    last !== undefined &&
    (ts.isReturnStatement(last) || ts.isThrowStatement(last) || ts.isBreakOrContinueStatement(last))
  );
}

/** Returns whether a node is `Math.min` or `Math.max` of two values. @param {ts.Node} node @returns {node is ts.CallExpression} */
function isClamp(node) {
  return (
    ts.isCallExpression(node) &&
    /^Math\.(?:min|max)$/.test(node.expression.getText()) &&
    node.arguments.length === 2 &&
    !node.arguments.some((value) => ts.isSpreadElement(value))
  );
}
