/** Jest takes one function of a module for its `globalTeardown`. */
export { removeBundle as default } from './bundled-program.js';
