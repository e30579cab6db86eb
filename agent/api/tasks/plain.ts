/** As JSON can say it: figures that it has no word for are the words of the events file. */
export function plain<T>(value: T): T {
  if (typeof value === "number" && !Number.isFinite(value))
    return (Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf") as unknown as T;
  if (Array.isArray(value)) return value.map(plain) as unknown as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)])) as T;
}
