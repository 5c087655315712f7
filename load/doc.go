// Package load puts a server that speaks the OpenAI protocol under load and
// measures what its users would see.
//
//	Options.Concurrency   closed loop: so many users, each asks again when answered
//	Options.Rates         open loop: requests come at random (Poisson), answered or not
//	Options.LateTokens    a long prompt comes amid the users of a closed loop
//	  Run -> a Step per load: samples -> percentiles, goodput, errors
//	  Report.Markdown, Report.Plot; Report.Knee: where more load stops bringing more
//
// In an open loop every time counts from the moment a request was due, not from
// when it could be sent: a server that stalls is charged for those who waited
// ("coordinated omission", Tene 2013). All samples are kept, so percentiles are
// exact. Prompts and arrivals depend on Options.Seed alone.
//
// It sees servers through HTTP only, knows no model, and no tokenizer: how many
// words make a token is asked of the server first.
package load
