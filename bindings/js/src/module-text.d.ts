/** The module, compressed with gzip, as base64. The build writes it. */
export const compressed: string;
