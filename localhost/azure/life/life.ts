// The life of the machines: while one runs, its workload changes its disks, tick by tick. The tick a machine has reached is
// kept with it, so a restart goes on where the last one stopped.
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { keep, type Resource } from "../arm/resources.ts";
import type { World } from "../arm/world.ts";
import { VIRTUAL_MACHINES } from "../compute/disk-model.ts";
import { asVm, type Vm, vmAsResource, volumesOf } from "../compute/vm-model.ts";
import { fillGenerated } from "../disks/generated-content.ts";
import { type DiskWrite, type Workload, workloadSchema, writesOfTick } from "./workload.ts";

/** Ticks are written down once in so many, to keep the journal small; a crash repeats at most these. */
const REMEMBER_EVERY_TICKS = 10;

export class Life {
  readonly #world: World;
  readonly #tickMs: number;
  readonly #ticks = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(world: World, tickMs: number) {
    this.#world = world;
    this.#tickMs = tickMs;
  }

  /** Lets the machines live by themselves, one tick after the other, never two at once. */
  start(onDefect: (cause: unknown) => void): void {
    this.#timer = setTimeout(async () => {
      await this.advance(1).catch(onDefect);
      if (this.#timer !== undefined) this.start(onDefect);
    }, this.#tickMs).unref();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#turn.catch(() => {});
  }

  /** Makes all running machines live so many ticks; gives the bytes written. */
  advance(ticks: number): Promise<number> {
    const turn = this.#turn
      .catch(() => {})
      .then(async () => {
        let written = 0;
        for (let tick = 0; tick < ticks; tick += 1) for (const vm of this.#living()) written += await this.#live(vm);
        return written;
      });
    this.#turn = turn;
    return turn;
  }

  #living(): Vm[] {
    return this.#world.resources
      .ofType(VIRTUAL_MACHINES)
      .map(asVm)
      .filter(({ inner }) => inner.power === "running" && inner.workload !== undefined);
  }

  async #live(vm: Vm): Promise<number> {
    const workload = workloadSchema.parse(vm.inner.workload);
    const tick = this.#ticks.get(vm.id) ?? Number(vm.inner.tick ?? 0);
    this.#ticks.set(vm.id, tick + 1);
    const volumes = volumesOf(this.#world, vm).map(({ disk }) => disk.inner.volume);
    const sizes = volumes.map((id) => this.#world.disks.volume(id).sizeBytes);
    let written = 0;
    for (const write of writesOfTick(workload, sizes, tick, this.#tickMs))
      written += await this.#write(volumes, write).catch(nothingIfGone);
    if (written > 0 && (tick + 1) % REMEMBER_EVERY_TICKS === 0) await this.#remember(vm.id, workload, tick + 1);
    return written;
  }

  async #write(volumes: readonly number[], { disk, offset, length, clear, content }: DiskWrite): Promise<number> {
    const volume = volumes[disk];
    if (volume === undefined || this.#world.disks.find(volume) === undefined) return 0;
    if (clear) {
      await this.#world.disks.clear(volume, offset, length);
      return length;
    }
    const bytes = Buffer.allocUnsafe(length);
    fillGenerated(bytes, content, offset);
    await this.#world.disks.write(volume, offset, [bytes]);
    return length;
  }

  async #remember(id: string, _workload: Workload, tick: number): Promise<void> {
    const vm: Resource | undefined = this.#world.resources.find(id);
    if (vm === undefined) return;
    // The machine as clients see it has not changed: its ETag stays.
    await this.#world.state.commit([
      keep(vmAsResource({ ...asVm(vm), inner: { ...asVm(vm).inner, tick }, revision: (vm.revision ?? 1) - 1 })),
    ]);
  }
}

/** A disk may be deleted under the feet of its machine. */
function nothingIfGone(thrown: unknown): number {
  if (thrown instanceof HoldfastFailure && thrown.code === "DiskGone") return 0;
  throw thrown;
}
