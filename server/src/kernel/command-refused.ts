/** A command cannot go on: the message tells the operator what to do first. It holds no address with a password. */
export class CommandRefused extends Error {
  override name = 'CommandRefused'
}
