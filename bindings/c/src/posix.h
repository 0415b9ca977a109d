/* Comes before all else where a file needs more of the system than C has: POSIX of 2008, and
 * flock, which it lacks. */
#ifndef AGENTASSERT_POSIX_H
#define AGENTASSERT_POSIX_H

#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE 1
/* For inodes and sizes of more than 32 bits on systems that have 32. */
#define _FILE_OFFSET_BITS 64
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE 1
#endif
#if defined(__FreeBSD__) || defined(__NetBSD__)
#undef _POSIX_C_SOURCE /* which hides what it does not have there */
#endif

#endif
