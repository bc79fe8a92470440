/* SPDX-License-Identifier: MIT */
/* The version of the running library. The numbers stand in version.h alone. */
#include <evenshim/version.h>

#define QUOTE(number)               #number
#define DOTTED(major, minor, patch) QUOTE(major) "." QUOTE(minor) "." QUOTE(patch)

uint32_t es_version(void) {
    return ES_VERSION;
}

const char *es_version_string(void) {
    return DOTTED(ES_VERSION_MAJOR, ES_VERSION_MINOR, ES_VERSION_PATCH);
}
