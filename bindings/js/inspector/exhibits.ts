// Which of the test vectors are in the gallery of broken headers.

/** By what is wrong: the vector's id, and its title here. */
export const gallery: [group: string, exhibits: [id: string, title: string][]][] = [
  [
    "The scheme",
    [
      ["inspect-no-scheme-refused", "The envelope alone, without the scheme"],
      ["inspect-bearer-refused", "Bearer in the scheme’s place"],
      ["inspect-no-space-refused", "No space after the scheme"],
      ["inspect-tab-refused", "A tab in place of the space"],
      ["inspect-comma-refused", "Two values in one field"],
      ["inspect-scheme-agentassertion", "The scheme in lower case"],
      ["inspect-two-spaces", "Two spaces after the scheme"],
    ],
  ],
  [
    "Base64url",
    [
      ["inspect-padding-2-refused", "Padded with “==”"],
      ["inspect-standard-alphabet-refused", "The standard alphabet, with “+” and “/”"],
      ["inspect-newline-inside-refused", "Wrapped: a line feed in the middle"],
      ["inspect-truncated-refused", "Cut off: the last character is missing"],
      ["inspect-trailing-bits-2-refused", "A last character with bits of no byte"],
      ["inspect-not-base64-refused", "Characters of no alphabet"],
      ["inspect-json-in-the-clear-refused", "JSON in the clear"],
      ["inspect-jwt-refused", "A JWT behind the scheme"],
    ],
  ],
  [
    "JSON",
    [
      ["inspect-trailing-comma-refused", "A comma after the last member"],
      ["inspect-single-quotes-refused", "Single quotes"],
      ["inspect-comment-refused", "A comment"],
      ["inspect-byte-order-mark-refused", "A byte order mark before it"],
      ["inspect-utf-16-refused", "UTF-16"],
      ["inspect-utf-8-byte-ff-refused", "A byte that is not UTF-8"],
      ["inspect-duplicate-task-id-other-value-refused", "A member twice, with two values"],
      ["inspect-space-after-colons", "Spaces after the colons"],
      ["inspect-members-reversed", "The members in another order"],
      ["inspect-escaped-value", "An escape sequence that nothing needs"],
    ],
  ],
  [
    "Members and ids",
    [
      ["inspect-missing-task-id-refused", "No task_id"],
      ["inspect-extra-member-refused", "A member that nothing signs"],
      ["inspect-member-in-camel-case-refused", "A member in camel case"],
      ["inspect-task-id-is-number-refused", "A number for an id"],
      ["inspect-task-id-empty-refused", "An empty id"],
      ["inspect-task-id-line-feed-refused", "A line feed in an id"],
      ["inspect-agent-runtime-id-colon-refused", "A colon in the runtime id"],
    ],
  ],
  [
    "Time",
    [
      ["inspect-timestamp-milliseconds-refused", "Milliseconds"],
      ["inspect-timestamp-offset-refused", "An offset in place of Z"],
      ["inspect-timestamp-no-zone-refused", "No Z"],
      ["inspect-timestamp-unix-refused", "Unix seconds"],
      ["inspect-timestamp-29-february-2026-refused", "A day that the year does not have"],
      ["verify-skew-300-clock-ahead-refused", "Too old, by a second"],
      ["verify-skew-300-clock-behind-refused", "From the future, by a second"],
    ],
  ],
  [
    "Signature",
    [
      ["inspect-signature-url-alphabet-refused", "In the URL alphabet"],
      ["inspect-signature-hexadecimal-refused", "In hexadecimal"],
      ["inspect-signature-63-bytes-refused", "A byte too short"],
      ["verify-flipped-bit-in-r-refused", "One other bit"],
      ["verify-unreduced-s-refused", "A second form of the same number"],
      ["verify-of-the-json-refused", "Made over the JSON"],
      ["verify-of-a-registration-refused", "That of a registration"],
      ["verify-other-task-id-refused", "Of another task’s assertion"],
      ["verify-other-key-refused", "Made with another key"],
      ["verify-public-key-small-order-1-refused", "Checked with a key of small order"],
    ],
  ],
  [
    "Runtime agent instances",
    [
      ["instance-inspect-no-version-refused", "A JWS without “1.” before it"],
      ["instance-inspect-two-parts-refused", "No signature"],
      ["instance-inspect-header-none-refused", "Algorithm “none”"],
      ["instance-inspect-header-key-id-refused", "A header with one member more"],
      ["instance-inspect-payload-version-2-refused", "Another version"],
      ["instance-inspect-payload-iat-text-refused", "A time as text"],
      ["instance-inspect-payload-padded-refused", "A padded part"],
      ["instance-verify-skew-300-clock-ahead-refused", "Too old, by a second"],
      ["instance-verify-of-the-payload-refused", "Signed: the payload alone"],
      ["instance-verify-other-key-refused", "Made with another key"],
    ],
  ],
];
