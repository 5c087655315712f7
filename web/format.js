// Numbers, sizes and times in words.

const plain = new Intl.NumberFormat("en-US");

export const count = (n) => plain.format(n);

// short writes 5_200_000 as 5.2M.
export function short(n) {
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (Math.abs(n) >= size) return trim((n / size).toPrecision(3)) + unit;
  }
  return String(Math.round(n * 100) / 100);
}

const trim = (s) => (s.includes(".") && !s.includes("e") ? s.replace(/\.?0+$/, "") : s);

export function bytes(n) {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (n >= size) return (n / size).toPrecision(3) + " " + unit;
  }
  return n + " bytes";
}

export function percent(p) {
  if (p >= 0.9995) return "100%";
  return (p * 100).toFixed(p < 0.0995 ? (p < 0.001 ? 3 : 1) : p < 0.995 ? 0 : 1) + "%";
}

// seconds writes a duration: 4.2 s, 3 min 05 s, 2 h 10 min.
export function seconds(s) {
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + String(Math.floor(s % 60)).padStart(2, "0") + " s";
  return Math.floor(s / 3600) + " h " + String(Math.floor((s % 3600) / 60)).padStart(2, "0") + " min";
}

// ago is how long ago a time was; when is its day for a list.
export function ago(time) {
  const s = Math.max(0, (Date.now() - new Date(time)) / 1000);
  if (s < 10) return "just now";
  if (s < 60) return Math.round(s) + " s ago";
  if (s < 3600) return Math.round(s / 60) + " min ago";
  if (s < 86400) return Math.round(s / 3600) + " h ago";
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

export function when(time) {
  const today = new Date().setHours(0, 0, 0, 0), day = 86_400_000;
  if (time >= today) return "Today";
  if (time >= today - day) return "Yesterday";
  if (time >= today - 7 * day) return "This week";
  return "Earlier";
}

// value writes a measured number for an axis or a readout.
export function value(v) {
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (a >= 10_000) return short(v);
  if (a < 0.001) return v.toExponential(1).replace(".0", "").replace("e-", "e−");
  return trim(v.toPrecision(a >= 1000 ? 4 : 3));
}
