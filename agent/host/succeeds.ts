/** Whether a look at something succeeds: it is there, and may be looked at. */
export function succeeds(look: Promise<unknown>): Promise<boolean> {
  return look.then(
    () => true,
    () => false,
  );
}
