/// Whole mebibytes that hold `bytes`: `58 MiB`.
func wholeMebibytes(holding bytes: Int) -> String {
    "\(bytes / (1 << 20) + (bytes % (1 << 20) == 0 ? 0 : 1)) MiB"
}
