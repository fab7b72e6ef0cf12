// All of weft. Each header can be included by itself.
#pragma once

#include <weft/address.hpp>      // where a socket is bound or connected to
#include <weft/await.hpp>        // functions that call back
#include <weft/blocking.hpp>     // calls that block a thread
#include <weft/cancel.hpp>       // cancellation, shields, timeouts
#include <weft/debug.hpp>        // dumps
#include <weft/dns.hpp>          // from names to addresses
#include <weft/error.hpp>        // what weft throws
#include <weft/fd.hpp>           // descriptors of the program's own
#include <weft/fiber_local.hpp>  // variables of each fiber, and those it inherits
#include <weft/file.hpp>         // files and directories
#include <weft/future.hpp>       // promise and future
#include <weft/gather.hpp>       // several things at once
#include <weft/generator.hpp>    // one value after another, each when it is asked for
#include <weft/go.hpp>           // fibers and their handles
#include <weft/group.hpp>        // children that end with their scope
#include <weft/runtime.hpp>      // run(), runtime, options
#include <weft/serve.hpp>        // one fiber for each connection
#include <weft/stream.hpp>       // what works with every stream
#include <weft/tcp.hpp>          // TCP connections and listeners
#include <weft/time.hpp>         // sleep, tickers
