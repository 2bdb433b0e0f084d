interface Disposable {
  dispose(): Promise<void>;
}

/** What was made piece by piece and ends together. */
export class Disposables {
  readonly #made: Disposable[] = [];
  #disposal: Promise<void> | undefined;

  /** Takes charge of something as soon as it is there. */
  async add<T extends Disposable>(making: T | Promise<T>): Promise<T> {
    const made = await making;
    this.#made.push(made);
    return made;
  }

  /** Ends all, the latest first, also when one fails to; once. @throws the first failure */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    const failures: unknown[] = [];
    for (const one of this.#made.reverse()) {
      try {
        await one.dispose();
      } catch (problem) {
        failures.push(problem);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Makes something of several pieces; when that fails, those that were there already are disposed of. */
export async function allOrNothing<T>(make: (owned: Disposables) => Promise<T>): Promise<T> {
  const owned = new Disposables();
  try {
    return await make(owned);
  } catch (problem) {
    // The problem that made it fail is the one to be told.
    await owned.dispose().catch(() => undefined);
    throw problem;
  }
}
