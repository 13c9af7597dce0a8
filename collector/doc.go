// Package collector is the SDK that a driver imports and the machine that runs it, as
// net/http is both. A log path joins one source to its destinations; the Engine runs one
// log path per plan.
//
// # The way of a message
//
//	source goroutine                      one loop per destination
//	Fetch / Run fills a Batch → window, tracker → queue → groups batches → Write, retry, reopen
//	       ↑ bookmark fsynced in order, then window given back, batch reused │ ack
//	       └─────────────────────────────────────────────────────────────────┘
//
// No goroutine, channel, closure or heap object is spent per message, nor, in the steady
// state, per batch. Acks may arrive out of order; bookmarks are saved in order.
//
// # The lifecycle of a fetcher
//
//	Fetch gives                 syslog-ng                    the collector then
//	nil, batch not empty        FETCH_SUCCESS                queues it; fetches again while the window is
//	                                                         open, else is suspended until wakeup
//	nil, batch empty            SUCCESS without a message    as "any other error"
//	ErrTryAgain                 FETCH_TRY_AGAIN              fetches at once
//	ErrNoData                   FETCH_NO_DATA                waits fetchNoDataDelay, fetches
//	ErrNotConnected             FETCH_NOT_CONNECTED          waits timeReopen, Open (no Close)
//	any other error, panic      FETCH_ERROR                  Close, waits timeReopen, Open
//	(Open fails)                open() False                 waits timeReopen, Open
//	(stop)                      request_exit()               RequestExit from another goroutine; a running
//	                                                         Fetch's result still counts; Close once more,
//	                                                         also if never opened; Deinit
//
// Records already in the batch are delivered whatever the error is, then the error's row
// applies. The first fetch of an instance is not gated by the window, one after a reopen is.
// A Fetch that ignores RequestExit is left behind after shutdownGrace; what it gives then is
// dropped, counted. An Init that fails is tried again, on a new instance, after a back-off.
//
// # A changed plan
//
// The old instance is stopped (RequestExit, Close, Deinit) before the new one is made; then
// come the new one's Init and the old one's Finalize. When the new one does not start, a
// fresh instance of the old plan runs and the report says why.
//
// # The lifecycle of a posting source
//
// Run posts until its context ends. Post blocks while the window is full; a source that
// is a Suspender is told instead, and what it posts before Wakeup is dropped, counted.
// Suspend is called inside the Post that fills the window, Wakeup from another goroutine.
// When Run returns of its own accord a new instance is run after a back-off (onRunExit:
// Restart) or not (Stop); both are visible in the status. What is posted after request_exit
// while the window is full is dropped, counted, as in syslog-ng.
//
// # What it never does
//
// It does not move a bookmark before every required destination has acked, does not drop
// a message without counting it by reason, and does not let one log path wait for another.
package collector
