/// Whole mebibytes that hold `bytes`, for a sentence (`58 MiB`) and for an option (`58MiB`).
func describeMebibytes(atLeast bytes: Int) -> (spaced: String, plain: String) {
    let count = bytes / (1 << 20) + (bytes % (1 << 20) == 0 ? 0 : 1)
    return ("\(count) MiB", "\(count)MiB")
}
