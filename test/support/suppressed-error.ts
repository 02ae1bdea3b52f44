/**
 * swc 1.16 compiles `using` to code that names this class wrongly: when a disposal fails after another error, a test would
 * see a ReferenceError instead of the two. Node.js itself and tsc do it right.
 */
Object.assign(globalThis, { _SuppressedError: SuppressedError });
