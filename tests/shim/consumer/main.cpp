// SPDX-License-Identifier: MIT
// The headers are good C++: included alone, in any order, and together.
#include <evenshim/version.h>
#include <evenshim/socket.h>
#include <evenshim/process.h>
#include <evenshim/pipe.h>
#include <evenshim/memory.h>
#include <evenshim/error.h>
#include <evenshim/evenshim.h>

int main() {
    return es_version() == ES_VERSION && es_error_from_name("EPIPE") == ES_EPIPE ? 0 : 1;
}
