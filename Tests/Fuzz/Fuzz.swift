import CHeapPeak
import Glibc
import LeafSystem

/// What libFuzzer calls first, and does not time.
@c(LLVMFuzzerInitialize)
public func prepare(
    _ count: UnsafeMutablePointer<CInt>?,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
    Reader.chosen.prepare()
    return 0
}

/// What libFuzzer calls. A reader takes bytes or throws a `LeafError`, within the memory that it promises to take at
/// most; whatever else happens is a mistake.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: start, count: count)
    var allowance = HeapAllowance.unlimited
    // Tables that are made once and stay are no part of what reading takes.
    if !isWarm { try? Reader.chosen.read(Array(input), &allowance) }
    isWarm = true
    allowance = .unlimited
    heap_peak_begin()
    try? Reader.chosen.read(Array(input), &allowance)
    let peak = heap_peak_end()
    let promised = count + allowance.peak
    if peak > promised + slack { fatalError("\(count) bytes took \(peak), more than the promised \(promised)") }
    return 0
}

/// Error sentences, and what the runtime keeps of types that it meets.
private let slack = 1 << 17
private nonisolated(unsafe) var isWarm = false
