/// `512 B`, `1.5 KiB`, `58.0 MiB`, `9.27 GiB`: three digits at least, as people say it.
func describeBytes(_ bytes: Int) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    guard bytes >= 1024 else { return "\(bytes) B" }
    var scaled = Double(bytes) / 1024
    var unit = 0
    while scaled >= 1024, unit + 1 < units.count {
        scaled /= 1024
        unit += 1
    }
    let decimals = unit >= 2 ? 100.0 : 10.0
    let hundredths = Int((scaled * decimals).rounded())
    let whole = hundredths / Int(decimals)
    let fraction = String(hundredths % Int(decimals))
    let zeros = String(repeating: "0", count: (unit >= 2 ? 2 : 1) - fraction.count)
    return "\(whole).\(zeros)\(fraction) \(units[unit])"
}

/// Whole mebibytes that hold `bytes`, for a sentence (`58 MiB`) and for an option (`58MiB`).
func describeMebibytes(atLeast bytes: Int) -> (spaced: String, plain: String) {
    let count = bytes / (1 << 20) + (bytes % (1 << 20) == 0 ? 0 : 1)
    return ("\(count) MiB", "\(count)MiB")
}
