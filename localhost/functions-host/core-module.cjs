// What `require("@azure/functions-core")` gives to the app: the module that the real Node worker injects. CommonJS,
// because that is how the library asks for it. A loader of the app may evaluate this file more than once, so it keeps
// nothing of its own: all state is the worker's, found on the global object (worker-state.ts).

const state = globalThis[Symbol.for("holdfast.functions-host.worker")];

class Disposable {
  #dispose;

  constructor(dispose) {
    this.#dispose = dispose;
  }

  dispose() {
    const dispose = this.#dispose;
    this.#dispose = undefined;
    return dispose?.();
  }

  static from(...disposables) {
    return new Disposable(() => {
      for (const disposable of disposables) disposable?.dispose?.();
    });
  }
}

module.exports = {
  version: state.workerVersion,
  hostVersion: state.hostVersion,
  Disposable,
  registerFunction: (metadata, callback) => new Disposable(state.registerFunction(metadata, callback)),
  setProgrammingModel: (model) => state.setProgrammingModel(model),
  getProgrammingModel: () => state.programmingModel,
  registerHook: (name, callback) => new Disposable(state.registerHook(name, callback)),
  log: (level, category, message) => state.log(level, category, message),
};
