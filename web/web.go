// Package web holds the chat page that the server shows at /: three files
// without a build step, a framework or a request to anywhere else. It holds no
// logic of the server's; the page is a client of /v1 like any other.
package web

import "embed"

// FS has index.html, and what the page asks for under /static/.
//
//go:embed index.html chat.css chat.js icon.svg
var FS embed.FS
