// Package web holds the page that the server shows at /: a chat, the models,
// the training runs. Plain files without a build step, a framework or a
// request to anywhere else. It holds no logic of the server's; the page is a
// client of its API like any other.
//
//	index.html theme.js app.js      the frame: views, keys, theme
//	chat.js turn.js composer.js     the conversation on the screen
//	sidebar.js settings.js          what stands beside it
//	ask.js api.js                   a request, and its stream
//	tree.js store.js transfer.js    conversations: data, IndexedDB, files
//	markdown.js tokens.js           a model's text as prose, as probabilities
//	tools.js calc.js tools.json     tool calls, and the calculator
//	models.js training.js chart.js  the other two pages
//	dom.js format.js prefs.js       elements, numbers, settings
package web

import "embed"

// FS has index.html, and what the page asks for under /static/.
//
//go:embed index.html *.js *.css tools.json icon.svg
var FS embed.FS
