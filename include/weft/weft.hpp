// All of weft. Each header can be included by itself.
#pragma once

#include <weft/address.hpp>             // where a socket is bound or connected to
#include <weft/await.hpp>               // functions that call back
#include <weft/barrier.hpp>             // fibers that wait for each other, phase after phase
#include <weft/blocking.hpp>            // calls that block a thread
#include <weft/buffered.hpp>            // reading lines
#include <weft/cancel.hpp>              // cancellation, shields, timeouts
#include <weft/channel.hpp>             // values handed from fiber to fiber
#include <weft/condition_variable.hpp>  // waiting until something has changed
#include <weft/debug.hpp>               // dumps
#include <weft/directory.hpp>           // directories and files by their names
#include <weft/dns.hpp>                 // from names to addresses
#include <weft/error.hpp>               // what weft throws
#include <weft/event.hpp>               // a flag to wait for
#include <weft/fd.hpp>                  // descriptors of the program's own
#include <weft/fiber_local.hpp>         // variables of each fiber, and those it inherits
#include <weft/file.hpp>                // files
#include <weft/future.hpp>              // promise and future
#include <weft/gather.hpp>              // several things at once
#include <weft/generator.hpp>           // one value after another, each when it is asked for
#include <weft/go.hpp>                  // fibers and their handles
#include <weft/group.hpp>               // children that end with their scope
#include <weft/latch.hpp>               // a count that fibers wait to see reach zero
#include <weft/map.hpp>                 // one fiber for each element of a range
#include <weft/mutex.hpp>               // locks
#include <weft/once.hpp>                // what is to happen once
#include <weft/pipe.hpp>                // pipes
#include <weft/process.hpp>             // other programs
#include <weft/race.hpp>                // the first of several answers
#include <weft/runtime.hpp>             // run(), runtime, options
#include <weft/select.hpp>              // waiting for the first of several
#include <weft/semaphore.hpp>           // so many at a time
#include <weft/serve.hpp>               // one fiber for each connection
#include <weft/shared_mutex.hpp>        // many readers or one writer
#include <weft/signal.hpp>              // signals that fibers wait for
#include <weft/stream.hpp>              // what works with every stream
#include <weft/tcp.hpp>                 // TCP connections and listeners
#include <weft/time.hpp>                // sleep, tickers
#include <weft/udp.hpp>                 // datagrams
#include <weft/unix.hpp>                // Unix sockets
#include <weft/wait_group.hpp>          // until so many are done
#include <weft/watch.hpp>               // changes of files and directories
