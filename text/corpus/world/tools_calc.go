package world

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Calculate works out an expression of decimal numbers, + - * / and
// parentheses, exactly. A result that no decimal ends is rounded to four
// places. Expressions longer than 200 bytes are refused.
func Calculate(expression string) (string, error) {
	if len(expression) > maxExpression {
		return "", fmt.Errorf("calculator: the expression has %d bytes, want at most %d", len(expression), maxExpression)
	}
	c := &calculator{text: expression}
	value, err := c.sum()
	if err == nil && c.peek() != 0 {
		err = fmt.Errorf("%q at byte %d is not part of it", c.text[c.at], c.at)
	}
	if err != nil {
		return "", fmt.Errorf("calculator: expression %q: %w", expression, err)
	}
	if places, exact := value.FloatPrec(); exact {
		return value.FloatString(places), nil
	}
	text := strings.TrimRight(strings.TrimRight(value.FloatString(4), "0"), ".")
	return choose(text == "-0", "0", text), nil
}

// maxExpression bounds the depth of the parser and the size of its numbers.
const maxExpression = 200

var errDivideByZero = errors.New("division by zero")

// calculator is a recursive-descent parser that computes as it reads.
type calculator struct {
	text string
	at   int
}

// peek skips blanks and returns the next byte; 0 at the end.
func (c *calculator) peek() byte {
	for c.at < len(c.text) && c.text[c.at] == ' ' {
		c.at++
	}
	if c.at == len(c.text) {
		return 0
	}
	return c.text[c.at]
}

// sum is product { (+|-) product }.
func (c *calculator) sum() (*big.Rat, error) {
	return c.chain("+-", c.product, func(sign byte, x, y *big.Rat) error {
		if sign == '+' {
			x.Add(x, y)
		} else {
			x.Sub(x, y)
		}
		return nil
	})
}

// product is value { (*|/) value }.
func (c *calculator) product() (*big.Rat, error) {
	return c.chain("*/", c.value, func(sign byte, x, y *big.Rat) error {
		switch {
		case sign == '*':
			x.Mul(x, y)
		case y.Sign() == 0:
			return errDivideByZero
		default:
			x.Quo(x, y)
		}
		return nil
	})
}

// chain reads operands with signs of one rank between them, from the left.
func (c *calculator) chain(signs string, operand func() (*big.Rat, error), apply func(sign byte, x, y *big.Rat) error) (*big.Rat, error) {
	x, err := operand()
	for err == nil {
		sign := c.peek()
		if sign == 0 || !strings.Contains(signs, string(sign)) {
			return x, nil
		}
		c.at++
		var y *big.Rat
		if y, err = operand(); err == nil {
			err = apply(sign, x, y)
		}
	}
	return nil, err
}

// value is a number, - value, or ( sum ).
func (c *calculator) value() (*big.Rat, error) {
	switch b := c.peek(); {
	case b == '-':
		c.at++
		x, err := c.value()
		if err != nil {
			return nil, err
		}
		return x.Neg(x), nil
	case b == '(':
		c.at++
		x, err := c.sum()
		if err != nil {
			return nil, err
		}
		if c.peek() != ')' {
			return nil, fmt.Errorf("a parenthesis is not closed at byte %d", c.at)
		}
		c.at++
		return x, nil
	}
	start := c.at
	for c.at < len(c.text) && (c.text[c.at] >= '0' && c.text[c.at] <= '9' || c.text[c.at] == '.') {
		c.at++
	}
	x, ok := new(big.Rat).SetString(c.text[start:c.at])
	if !ok {
		return nil, fmt.Errorf("want a number at byte %d", start)
	}
	return x, nil
}
