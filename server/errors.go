package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"weft/chat"
)

// apiError is an error as the OpenAI protocol shows it.
type apiError struct {
	Status  int    `json:"-"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"-"` // null in JSON when empty
	Code    string `json:"-"` // null in JSON when empty
}

// The values of apiError.Type.
const (
	invalidRequest = "invalid_request_error"
	rateLimit      = "rate_limit_error"
	serverError    = "server_error"
)

func (e *apiError) Error() string { return e.Message }

// MarshalJSON writes {"message","type","param","code"} with null for what is
// not known, as the official clients expect.
func (e *apiError) MarshalJSON() ([]byte, error) {
	null := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return json.Marshal(struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}{e.Message, e.Type, null(e.Param), null(e.Code)})
}

// errorBody is the body, or the event, that carries an apiError.
type errorBody struct {
	Error *apiError `json:"error"`
}

// badParam is a 400 that names the field at fault.
func badParam(param, format string, args ...any) *apiError {
	return &apiError{
		Status: http.StatusBadRequest, Type: invalidRequest, Param: param, Code: "invalid_value",
		Message: param + ": " + fmt.Sprintf(format, args...),
	}
}

// fromModel turns what a model said into what a client is told. Errors without
// a public meaning become a 500 that names only the request.
func fromModel(err error, requestID string) *apiError {
	var api *apiError
	var input *chat.InputError
	var full *chat.ContextError
	var away *chat.UnavailableError
	switch {
	case errors.As(err, &api):
		return api
	case errors.As(err, &input):
		return badParam(input.Param, "%s", input.Msg)
	case errors.As(err, &full):
		return contextError(full)
	case errors.Is(err, chat.ErrNoTemplate):
		return &apiError{Status: http.StatusBadRequest, Type: invalidRequest, Param: "messages", Code: "no_chat_template",
			Message: chat.ErrNoTemplate.Error() + "; send it a prompt at /v1/completions"}
	case errors.Is(err, chat.ErrNoAdapter):
		return noAdapter("the adapter is not, or no longer, loaded", "model")
	case errors.Is(err, chat.ErrBusy):
		return &apiError{Status: http.StatusTooManyRequests, Type: rateLimit, Code: "queue_full", Message: chat.ErrBusy.Error()}
	case errors.As(err, &away):
		return &apiError{Status: http.StatusServiceUnavailable, Type: serverError, Param: "model", Code: "model_unavailable", Message: away.Msg}
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{Status: http.StatusGatewayTimeout, Type: serverError, Code: "deadline_exceeded",
			Message: "the request took longer than this server allows: ask for fewer tokens, or again when it is less busy"}
	case errors.Is(err, context.Canceled):
		return stopping()
	}
	return internalError(requestID)
}

// contextError keeps the opening words of OpenAI's message, by which clients
// recognise this error.
func contextError(e *chat.ContextError) *apiError {
	asked := fmt.Sprintf("your prompt has %d tokens, which leaves no room for an answer", e.Prompt)
	if e.Max > 0 {
		asked = fmt.Sprintf("you requested %d tokens (%d in the prompt, %d in the completion)", e.Prompt+e.Max, e.Prompt, e.Max)
	}
	return &apiError{
		Status: http.StatusBadRequest, Type: invalidRequest, Code: "context_length_exceeded",
		Message: fmt.Sprintf("This model's maximum context length is %d tokens. However, %s. Shorten the prompt or lower max_tokens; nothing is cut silently.",
			e.Context, asked),
	}
}

func internalError(requestID string) *apiError {
	return &apiError{
		Status: http.StatusInternalServerError, Type: serverError, Code: "internal_error",
		Message: "the server failed on this request; its log has the reason under request id " + requestID,
	}
}

func stopping() *apiError {
	return &apiError{
		Status: http.StatusServiceUnavailable, Type: serverError, Code: "shutting_down",
		Message: "the server is shutting down; try again in a moment",
	}
}

// refuse answers r with e as a JSON body and notes it for the log. Errors that
// pass by themselves carry the seconds after which to try again.
func refuse(w http.ResponseWriter, r *http.Request, e *apiError) {
	infoOf(r).failure = e.Code
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.Status, errorBody{e})
}

// writeJSON sends v with the given status. Text goes out as it is: <, > and &
// stay readable, since no one embeds these bodies in HTML.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v) // the client may be gone; nothing is left to tell it
}
