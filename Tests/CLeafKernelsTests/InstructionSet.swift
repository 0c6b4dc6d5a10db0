import CKernelChecks
import CLeafKernels
import GoldenSupport
import Testing

/// Kernels that can run here. The models are the sources of AVX-VNNI, AVX-512 and AMX with their special instructions
/// computed in plain C.
enum InstructionSet: String, CaseIterable, CustomTestStringConvertible {
    case scalar, avx2, avxvnni, avxvnniModel, avx512, avx512Model, amx, amxModel, neon, i8mm

    var table: UnsafePointer<leaf_kernels>? {
        switch self {
        case .avxvnniModel: kernel_check_avxvnni_model()
        case .avx512Model: kernel_check_avx512_model()
        case .amxModel: kernel_check_amx_model()
        default: leaf_kernels_named(rawValue)
        }
    }

    /// The kernels of a set that is in `here`.
    var floats: leaf_float_kernels { table!.pointee.floats.pointee }
    var product: leaf_product { product(.int8) }
    func product(_ layout: Layout) -> leaf_product { leaf_kernels_product(table, layout.kernel).pointee }
    var testDescription: String { rawValue }

    static let here = {
        _ = leaf_kernels_permit()
        return allCases.filter { $0.table != nil }
    }()
    /// Those to be compared with the scalar one.
    static let fast = here.filter { $0 != .scalar }
}

/// How weights lie.
enum Layout: CaseIterable {
    case int8, q4, q3

    /// Those that are codes of int8 numbers.
    static let coded: [Layout] = [.q4, .q3]

    var kernel: leaf_layout {
        switch self {
        case .int8: LEAF_LAYOUT_INT8
        case .q4: LEAF_LAYOUT_Q4
        case .q3: LEAF_LAYOUT_Q3
        }
    }
}

extension Layout {
    /// Bytes of 64 columns of a tile.
    var sectionBytes: Int { leaf_section_bytes(kernel) }

    /// The numbers of each grid by codes, `[256][16]` for q4 and `[256][8]` for q3.
    var grids: [[Int]] { self == .q4 ? Self.q4Grids : Self.q3Grids }

    private static let q4Grids = withUnsafeBytes(of: leaf_q4_grids) { rows($0, 16) }
    private static let q3Grids = withUnsafeBytes(of: leaf_q3_grids) { rows($0, 8) }

    private static func rows(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> [[Int]] {
        stride(from: 0, to: bytes.count, by: 16).map { row in
            bytes[row..<row + count].map { Int(Int8(bitPattern: $0)) }
        }
    }
}

/// Aligned memory of a test.
final class Buffer<Element: BitwiseCopyable> {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int

    init(_ count: Int, of element: Element) {
        let bytes = UnsafeMutableRawPointer.allocate(
            byteCount: max(count, 1) * MemoryLayout<Element>.stride, alignment: 64)
        pointer = bytes.initializeMemory(as: Element.self, repeating: element, count: count)
        self.count = count
    }

    convenience init(_ elements: [Element]) {
        self.init(elements.count, of: elements[0])
        for (index, element) in elements.enumerated() { pointer[index] = element }
    }

    deinit { UnsafeMutableRawPointer(pointer).deallocate() }

    subscript(index: Int) -> Element {
        get { pointer[index] }
        set { pointer[index] = newValue }
    }

    var array: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

extension Buffer<Float> {
    /// Equal to the last bit, NaN included.
    var bits: [UInt32] { array.map(\.bitPattern) }
}

extension SeededGenerator {
    /// Numbers of very different sizes, and a few zeros.
    mutating func floats(_ count: Int, exponents: ClosedRange<Int> = -8...4) -> [Float] {
        (0..<count).map { _ in
            if Int.random(in: 0..<50, using: &self) == 0 { return 0 }
            let magnitude = Float(sign: .plus, exponent: Int.random(in: exponents, using: &self), significand: 1)
            return Float.random(in: -1...1, using: &self) * magnitude
        }
    }

    /// Any float that is neither infinite nor NaN.
    mutating func anyFinite() -> Float {
        while true {
            let x = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &self))
            if x.isFinite { return x }
        }
    }
}

func alignUp(_ n: Int, _ to: Int) -> Int { (n + to - 1) / to * to }

/// Row lengths with every kind of remainder, and the model's own odd ones.
let oddLengths = [1, 2, 15, 16, 17, 31, 48, 63, 64, 65, 100, 128, 129, 350, 700, 1023, 3735, 4096]
