// What piscina loads in a worker thread. CommonJS on purpose: piscina would `require` an ES module, and Node 20 aborts
// the whole process when a thread is ended in the middle of that (about once in a thousand pools closed while they
// start). A plain `import()` can be interrupted at any moment.
module.exports = async (task) => (await import('./dist/worker.js')).runTask(task);
