// All of weft. Each header can be included by itself.
#pragma once

#include <weft/address.hpp>             // where a socket is bound or connected to
#include <weft/barrier.hpp>             // phases that all reach together
#include <weft/blocking.hpp>            // calls that block a thread
#include <weft/cancel.hpp>              // cancellation, shields, timeouts
#include <weft/condition_variable.hpp>  // waiting for what another one changes
#include <weft/debug.hpp>               // dumps
#include <weft/dns.hpp>                 // from names to addresses
#include <weft/error.hpp>               // what weft throws
#include <weft/event.hpp>               // set or not
#include <weft/fd.hpp>                  // descriptors of the program's own
#include <weft/file.hpp>                // files and directories
#include <weft/gather.hpp>              // several things at once
#include <weft/go.hpp>                  // fibers and their handles
#include <weft/group.hpp>               // children that end with their scope
#include <weft/latch.hpp>               // counts down once
#include <weft/mutex.hpp>               // one at a time
#include <weft/once.hpp>                // initialised by whoever comes first
#include <weft/runtime.hpp>             // run(), runtime, options
#include <weft/semaphore.hpp>           // permits
#include <weft/serve.hpp>               // one fiber for each connection
#include <weft/shared_mutex.hpp>        // one writer or many readers
#include <weft/stream.hpp>              // what works with every stream
#include <weft/tcp.hpp>                 // TCP connections and listeners
#include <weft/time.hpp>                // sleep, tickers
#include <weft/wait_group.hpp>          // until all is done
