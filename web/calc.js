// Arithmetic for the calculator tool: numbers, + - * / % ^ and brackets, and a
// few functions. A parser of its own; nothing is executed.

const functions = { sqrt: Math.sqrt, abs: Math.abs, round: Math.round, floor: Math.floor, ceil: Math.ceil };
const maxDepth = 100;

// calculate returns the value; the error of what it cannot read says where.
export function calculate(text) {
  const tokens = text.replaceAll("×", "*").replaceAll("÷", "/").replaceAll("−", "-").replaceAll("**", "^")
    .match(/\d[\d,]*\.?\d*(?:e[+-]?\d+)?|\.\d+|[a-z]+|[-+*/%^()]|\S/gi) ?? [];
  let at = 0, depth = 0;
  const value = sum();
  if (at < tokens.length) throw new Error(`unexpected "${tokens[at]}"`);
  if (!Number.isFinite(value)) throw new Error("the result is not a number");
  const neat = Number(value.toPrecision(12));
  return String(neat).length > 12 ? Number(neat.toFixed(4)) : neat; // a third has no last decimal

  function eat(...wanted) { return wanted.includes(tokens[at]) ? tokens[at++] : null; }
  function sum() {
    let v = product();
    for (let op; (op = eat("+", "-"));) v = op === "+" ? v + product() : v - product();
    return v;
  }
  function product() {
    let v = sign();
    for (let op; (op = eat("*", "/", "%"));) {
      const w = sign();
      v = op === "*" ? v * w : op === "/" ? v / w : v % w;
    }
    return v;
  }
  function sign() {
    if (++depth > maxDepth) throw new Error("too deeply nested");
    const v = eat("-") ? -sign() : eat("+") ? sign() : power();
    depth--;
    return v;
  }
  function power() {
    const base = atom();
    return eat("^") ? base ** sign() : base; // the right side first
  }
  function atom() {
    const t = tokens[at++];
    if (t === undefined) throw new Error("the expression ends too early");
    if (/^[\d.]/.test(t)) return Number(t.replaceAll(",", ""));
    const fn = Object.hasOwn(functions, t) ? functions[t] : null;
    if (fn ? eat("(") : t === "(") {
      const v = sum();
      if (!eat(")")) throw new Error("a bracket is not closed");
      return fn ? fn(v) : v;
    }
    throw new Error(`unexpected "${t}"`);
  }
}
