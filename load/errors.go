package load

import "errors"

var (
	// ErrOptions is wrapped by what Validate says.
	ErrOptions = errors.New("load: options")
	// ErrServer is wrapped when a server cannot be measured at all.
	ErrServer = errors.New("load: server")
)

// The kinds of error that a request can end with, beside "http 429" and its like.
const (
	KindTimeout  = "timeout"    // it took longer than Client.Timeout
	KindRefused  = "no answer"  // no connection, or it broke before the status
	KindCut      = "cut stream" // the stream broke off before its end
	KindProtocol = "bad stream" // something that is no event of the protocol
	KindEvent    = "error event"
)
