import CLeafKernels
import CPMAntShape
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Synchronization
import Testing

/// All instruction sets give the same bytes, so only a count tells whose functions ran. The counts are the process's.
@Suite("Kernels of conversion", .serialized) struct WeightKernelTests {
    @Test func everyRowIsQuantizedByTheKernelsThatWereAskedFor() throws {
        let directory = try TemporaryDirectory()
        var options = ConversionOptions()
        options.weights = .int8
        options.calls.synchronize = { _ in 0 }
        let path = directory.path("model.leaf")
        _ = try Converter(source: Forms.path("ant-tiny-c/hf"), output: path, options: options).run(Calls.counting)
        let rows = try LeafFile.open(path: path).matrices.reduce(0) { $0 + $1.outputs }
        #expect(rows > 100)
        #expect(Calls.quantized.load(ordering: .relaxed) >= rows)
        #expect(Calls.measured.load(ordering: .relaxed) >= rows)
    }

    @Test func everyMatrixIsExportedByTheKernelsThatWereAskedFor() throws {
        let conversion = try Conversion(Forms.path("ant-tiny-c/hf"), .float16)
        let directory = try TemporaryDirectory()
        let (widened, narrowed) = (Calls.widened.load(ordering: .relaxed), Calls.narrowed.load(ordering: .relaxed))
        let result = try Exporter(model: conversion.file.path, folder: directory.path("out")).run(Calls.counting)
        let matrices = conversion.file.matrices.count
        #expect(result.weights == .float16 && matrices > 10)
        #expect(Calls.widened.load(ordering: .relaxed) >= widened + matrices)
        #expect(Calls.narrowed.load(ordering: .relaxed) >= narrowed + matrices)
    }

    @Test func aSetThatIsNotHereIsRefused() throws {
        let conversion = try Conversion(Forms.path("ant-tiny-c/hf"))
        let directory = try TemporaryDirectory()
        var options = ConversionOptions()
        options.instructionSet = "mmx"
        let converter = Converter(
            source: Forms.path("ant-tiny-c/hf"), output: directory.path("model.leaf"), options: options)
        let refusal = failure { _ = try converter.run() }
        #expect(refusal?.kind == .usage && refusal?.description.contains("mmx") == true)
        var export = ExportOptions()
        export.instructionSet = "mmx"
        let exporter = Exporter(model: conversion.file.path, folder: directory.path("out"), options: export)
        let other = failure { _ = try exporter.run() }
        #expect(other?.kind == .usage && other?.description.contains("mmx") == true)
    }
}

/// How often C functions without a context were called.
private enum Calls {
    static let quantized = Atomic(0)
    static let measured = Atomic(0)
    static let widened = Atomic(0)
    static let narrowed = Atomic(0)

    static var counting: WeightKernels {
        var functions = best
        functions.quantize_weights = { numbers, count, scale, values in
            Calls.quantized.wrappingAdd(1, ordering: .relaxed)
            Calls.best.quantize_weights(numbers, count, scale, values)
        }
        functions.absmax = { numbers, count in
            Calls.measured.wrappingAdd(1, ordering: .relaxed)
            return Calls.best.absmax(numbers, count)
        }
        functions.f16_to_f32 = { halves, numbers, count in
            Calls.widened.wrappingAdd(1, ordering: .relaxed)
            Calls.best.f16_to_f32(halves, numbers, count)
        }
        functions.f32_to_f16 = { numbers, halves, count in
            Calls.narrowed.wrappingAdd(1, ordering: .relaxed)
            Calls.best.f32_to_f16(numbers, halves, count)
        }
        return WeightKernels(functions)
    }

    static var best: leaf_float_kernels { leaf_kernels_best().pointee.floats.pointee }
}
