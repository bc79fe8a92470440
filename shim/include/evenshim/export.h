/* SPDX-License-Identifier: MIT */
/* ES_API marks what the shared library exports; everything else is hidden, and in the static
 * library all is, so that a program or module that contains evenshim does not export it by
 * accident. Define ES_SHARED when linking to the shared library; pkg-config and the CMake package
 * do. */
#ifndef EVENSHIM_EXPORT_H
#define EVENSHIM_EXPORT_H

#if defined(_WIN32) && defined(ES_BUILDING_SHARED)
#define ES_API __declspec(dllexport)
#elif defined(_WIN32) && defined(ES_SHARED)
#define ES_API __declspec(dllimport)
#elif defined(__GNUC__) && defined(ES_BUILDING_SHARED)
#define ES_API __attribute__((visibility("default")))
#else
#define ES_API
#endif

#endif
