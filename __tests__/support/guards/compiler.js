/** The compiler as a judge of guards: it notices itself when a guard that narrows a type is taken out. */
import { join, resolve } from 'node:path';
import ts from 'typescript';

/** Errors that a condition of `false` causes by itself: code that cannot be reached, and names that nothing uses. */
const HARMLESS = new Set([6133, 6138, 6192, 6196, 6198, 7027]);

/** The programs of the project, each made when it is first asked. */
export class Compiler {
  #root;
  /** @type {Map<string, { program: ts.Program, host: ts.CompilerHost }>} */
  #projects = new Map();

  /** @param {string} root the folder of the project */
  constructor(root) {
    this.#root = root;
  }

  /** Returns whether a file still compiles when it has another text. @param {string} file @param {string} text */
  accepts(file, text) {
    const { program, host } = this.#projectOf(file);
    const path = join(this.#root, file);
    const changed = ts.createProgram({
      rootNames: program.getRootFileNames(),
      options: program.getCompilerOptions(),
      oldProgram: program,
      host: {
        ...host,
        getSourceFile: (name, options) =>
          resolve(name) === path
            ? ts.createSourceFile(name, text, options, true)
            : (program.getSourceFile(name) ?? host.getSourceFile(name, options)),
      },
    });
    const problems = changed.getSemanticDiagnostics(changed.getSourceFile(path));
    return problems.every(({ code }) => HARMLESS.has(code));
  }

  /** Returns the JavaScript of a file of `src`, as the build makes it. @param {string} file @param {string} text */
  build(file, text) {
    // The format of modules is in package.json, which is not read for a single text.
    const compilerOptions = { ...this.#configurationOf(file).options, module: ts.ModuleKind.ESNext };
    return ts.transpileModule(text, { fileName: file, compilerOptions }).outputText;
  }

  /** @param {string} file */
  #projectOf(file) {
    const { path, fileNames, options } = this.#configurationOf(file);
    const known = this.#projects.get(path);
    if (known !== undefined) return known;
    const host = ts.createCompilerHost(options, true);
    const project = { program: ts.createProgram(fileNames, options, host), host };
    this.#projects.set(path, project);
    return project;
  }

  /** @param {string} file */
  #configurationOf(file) {
    const worker = file.startsWith('public/worker/') ? 'tsconfig.worker.json' : 'tsconfig.public.json';
    const path = join(this.#root, file.startsWith('src/') ? 'src/tsconfig.json' : worker);
    const parsed = ts.getParsedCommandLineOfConfigFile(path, undefined, {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
        throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
      },
    });
    if (parsed === undefined) throw new Error(`${path} cannot be read`);
    return { path, ...parsed };
  }
}
