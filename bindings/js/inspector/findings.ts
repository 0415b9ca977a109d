// What is found about a header: both forms of assertions have it in common.

/** A part of the envelope, or of the payload, in bytes. */
export type Span = [start: number, end: number];

/** Something about a header that is not as the core builds it. */
export interface Finding {
  text: string;
  /** Whether a verifier refuses the header for it. Else it is only not canonical. */
  fatal: boolean;
  /** Where it is in the envelope or the payload, if it is there. */
  spans: Span[];
}

/** A list of them. */
export class Findings {
  readonly all: Finding[] = [];

  fatal(text: string, ...spans: Span[]): void {
    this.all.push({ text, fatal: true, spans });
  }

  lax(text: string, ...spans: Span[]): void {
    this.all.push({ text, fatal: false, spans });
  }
}

/** The core's bounds, in bytes. */
export const scheme = "AgentAssertion";
export const maxJSON = 64 << 10;
export const maxHeader = scheme.length + 1 + Math.floor((maxJSON * 4) / 3) + 2;
