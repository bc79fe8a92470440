/* SPDX-License-Identifier: MIT */
/* The version of evenshim: what a program was compiled with (the macros) and what it runs with (the
 * functions). Major changes break the interface, minor ones add to it, patches do neither. The
 * build reads the numbers from here. Thread safety: any thread. */
#ifndef EVENSHIM_VERSION_H
#define EVENSHIM_VERSION_H

#include <stdint.h>

#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ES_VERSION_MAJOR 0
#define ES_VERSION_MINOR 1
#define ES_VERSION_PATCH 0

/* Versions as one number that compares like the version: 1.2.3 is 0x010203. */
#define ES_VERSION_NUMBER(major, minor, patch)                                                     \
    (((uint32_t)(major) << 16) | ((uint32_t)(minor) << 8) | (uint32_t)(patch))
#define ES_VERSION ES_VERSION_NUMBER(ES_VERSION_MAJOR, ES_VERSION_MINOR, ES_VERSION_PATCH)

/* The version of the library that is running, as ES_VERSION_NUMBER makes it. */
ES_API uint32_t es_version(void);

/* The same as text: "0.1.0". Lives for ever. */
ES_API const char *es_version_string(void);

#ifdef __cplusplus
}
#endif
#endif
