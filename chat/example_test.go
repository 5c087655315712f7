package chat_test

import (
	"encoding/json"
	"fmt"

	"weft/chat"
)

func ExampleMessage() {
	text, _ := json.Marshal(chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "call_1", Name: "price", Arguments: `{"item": "bread"}`}}})
	fmt.Println(string(text))
	// Output: {"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"price","arguments":"{\"item\": \"bread\"}"}}]}
}
