/** As much of a request's body is kept, in bytes: more than a turn with images has. */
const most = 16 << 20;

/**
 * Keeps what a request's body turns out to be while it is sent, so that the call can be
 * sent once more: what libraries hand over is a Request whose body was text, and is a stream.
 */
export class RequestCopy {
  /** The body, once all of it is there. */
  #whole: Blob | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;

  /** The request is one whose body nobody has read. */
  constructor(request: Request) {
    const copy = request.clone();
    const body = copy.body as ReadableStream<Uint8Array<ArrayBuffer>> | null | undefined;
    if (body === undefined) {
      // An engine that has no body on requests takes none that is a stream: it is there.
      void copy.arrayBuffer().then(
        (bytes) => {
          this.#whole = new Blob([bytes]);
        },
        () => undefined,
      );
    } else if (body !== null) {
      this.#reader = body.getReader();
      void this.#read(this.#reader);
    }
  }

  /** The body, or undefined, if it is not all there, or too much. */
  get whole(): Blob | undefined {
    return this.#whole;
  }

  /** Stops reading along. */
  stop(): void {
    // It waits for whoever reads the request, who may take long.
    this.#reader?.cancel().catch(() => undefined);
    this.#reader = undefined;
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>): Promise<void> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          this.#whole = this.#reader && new Blob(chunks);
          return;
        }
        size += value.byteLength;
        if (size > most) {
          this.stop();
          return;
        }
        chunks.push(value);
      }
    } catch {
      // Whoever sends the request gets the same error.
    }
  }
}
