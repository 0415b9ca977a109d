import { codes, failure, isOurs } from "./errors.js";

// Whoever can write to Object.prototype, by a careless merge somewhere in the program,
// gives every object members that nobody set: { shell: true }, { baseUrl: … },
// { body: … }. So what this package reads from an object of somebody else's, and what
// it hands to the platform, goes through here first.

/**
 * Returns an object's own properties, in an object without a prototype: what is not
 * there is undefined, whatever Object.prototype has. A getter is called once, and what
 * is changed later does not count. Members that a class has are none of its objects'.
 *
 * Errors: invalid_request, for an object that throws when it is looked at.
 */
export function own<const T extends object>(object: T): T {
  return readable(() => Object.assign(Object.create(null) as T, object));
}

/**
 * Returns a member of an object that may be of a class: its own or the class's, but not
 * one that every object has. Errors: those of own.
 */
export function memberOf<T extends object, K extends keyof T>(object: T, name: K): T[K] | undefined {
  const member = readable(() => object[name]);
  return member === (Object.prototype as T)[name] ? undefined : member;
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw isOurs(error)
      ? error
      : failure(codes.invalidRequest, "an object's members cannot be read: one of them throws", error);
  }
}
