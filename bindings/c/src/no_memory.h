/* The error of a program that has no memory left. */
#ifndef AGENTASSERT_NO_MEMORY_H
#define AGENTASSERT_NO_MEMORY_H

#include "call.h"

/* Fills the error in, and returns -1. */
static inline int aa_no_memory(agentassert_error *error)
{
	return aa_fail(error, "no_memory", "there is too little memory");
}

#endif
