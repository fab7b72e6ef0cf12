// All of weft. Each header can be included by itself.
#pragma once

#include <weft/blocking.hpp>  // calls that block a thread
#include <weft/cancel.hpp>    // cancellation, shields, timeouts
#include <weft/debug.hpp>     // dumps
#include <weft/error.hpp>     // what weft throws
#include <weft/gather.hpp>    // several things at once
#include <weft/go.hpp>        // fibers and their handles
#include <weft/group.hpp>     // children that end with their scope
#include <weft/runtime.hpp>   // run(), runtime, options
#include <weft/time.hpp>      // sleep, tickers
