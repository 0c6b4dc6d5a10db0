internal import Glibc

/// Makes a system call again for as long as a signal interrupts it.
///
/// - Parameter call: returns what was moved or done, or the negative `errno`.
package func retrying<Number: FixedWidthInteger & SignedInteger>(_ call: () -> Number) -> Number {
    while true {
        let result = call()
        if result != -Number(EINTR) { return result }
    }
}

/// What a function of the C library returned, or the negative `errno` if that says that it failed.
package func checked<Number: FixedWidthInteger & SignedInteger>(_ result: Number) -> Number {
    result < 0 ? -Number(errno) : result
}
