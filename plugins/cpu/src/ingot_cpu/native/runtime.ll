; Made from runtime.c by make_runtime.py; sha256 30bdb06454279432115e05b93141b5fbba40be36772d994ef07664b451825ad9
%struct.anon = type { ptr, ptr, ptr, [1024 x i64], i32 }
%struct.anon.0 = type { i32, i32, [56 x i8], i32, [60 x i8], i32, [60 x i8], i32, [60 x i8], i32, [60 x i8], i32, [60 x i8], i32, [60 x i8], i64, [56 x i8], ptr, ptr, ptr, i64, i64, [24 x i8] }
%struct.object = type { i64, ptr }

@array_type = internal unnamed_addr global ptr null, align 8
@bytes_payload = internal unnamed_addr global i64 0, align 8
@futex_call = internal unnamed_addr global i64 0, align 8
@places = internal global %struct.anon zeroinitializer, align 8
@pool = internal global %struct.anon.0 zeroinitializer, align 64
@blas_threads = internal unnamed_addr global ptr null, align 8
@blas_tiny = internal unnamed_addr global i64 0, align 8
@blas_alone = internal unnamed_addr global i64 0, align 8
@PyExc_TypeError = external local_unnamed_addr global ptr, align 8
@.str = private unnamed_addr constant [42 x i8] c"a kernel was called with too few operands\00", align 1
@.str.1 = private unnamed_addr constant [62 x i8] c"a program was called with another number of slots and numbers\00", align 1
@.str.2 = private unnamed_addr constant [45 x i8] c"a program's slot is a NumPy array on the CPU\00", align 1
@.str.3 = private unnamed_addr constant [54 x i8] c"a kernel's tensor operand is a NumPy array on the CPU\00", align 1
@PyExc_OverflowError = external local_unnamed_addr global ptr, align 8
@.str.4 = private unnamed_addr constant [23 x i8] c"int too big to convert\00", align 1
@_Py_NoneStruct = external global %struct.object, align 8

; Function Attrs: mustprogress nofree norecurse nosync nounwind willreturn memory(write, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable
define void @ingot_setup(ptr noundef %0, i64 noundef %1, i64 noundef %2, i64 noundef %3, ptr noundef %4, ptr noundef %5, ptr noundef %6) local_unnamed_addr #0 {
  store ptr %0, ptr @array_type, align 8, !tbaa !10
  store i64 %1, ptr @bytes_payload, align 8, !tbaa !12
  store i64 %2, ptr @futex_call, align 8, !tbaa !14
  store ptr %4, ptr @places, align 8, !tbaa !16
  store ptr %5, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8), align 8, !tbaa !18
  store ptr %6, ptr getelementptr inbounds nuw (i8, ptr @places, i64 16), align 8, !tbaa !19
  store i32 -1, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8216), align 8, !tbaa !20
  %8 = icmp eq i64 %2, 0
  %9 = trunc i64 %3 to i32
  %10 = select i1 %8, i32 0, i32 %9
  store i32 %10, ptr @pool, align 64, !tbaa !21
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384), align 64, !tbaa !25
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192), align 64, !tbaa !26
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320), align 64, !tbaa !27
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256), align 64, !tbaa !28
  store i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 64), align 64, !tbaa !29
  ret void
}

; Function Attrs: mustprogress nofree norecurse nosync nounwind willreturn memory(readwrite, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable
define range(i64 -2147483647, 2147483648) i64 @ingot_threads(i64 noundef %0) local_unnamed_addr #1 {
  %2 = icmp sgt i64 %0, 0
  %3 = load i32, ptr @pool, align 64, !tbaa !21
  br i1 %2, label %4, label %13

4:                                                ; preds = %1
  %5 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %6 = icmp ne i32 %5, 0
  %7 = sext i32 %3 to i64
  %8 = icmp sgt i64 %0, %7
  %9 = select i1 %6, i1 %8, i1 false
  br i1 %9, label %13, label %10

10:                                               ; preds = %4
  %11 = trunc i64 %0 to i32
  %12 = add nsw i32 %11, -1
  store i32 %12, ptr @pool, align 64, !tbaa !21
  br label %13

13:                                               ; preds = %4, %10, %1
  %14 = phi i32 [ %3, %4 ], [ %12, %10 ], [ %3, %1 ]
  %15 = add nsw i32 %14, 1
  %16 = sext i32 %15 to i64
  ret i64 %16
}

; Function Attrs: mustprogress nofree norecurse nosync nounwind willreturn memory(write, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable
define void @ingot_blas(i64 noundef %0, i64 noundef %1, i64 noundef %2) local_unnamed_addr #0 {
  %4 = inttoptr i64 %0 to ptr
  store ptr %4, ptr @blas_threads, align 8, !tbaa !10
  store i64 %1, ptr @blas_tiny, align 8, !tbaa !12
  store i64 %2, ptr @blas_alone, align 8, !tbaa !12
  ret void
}

; Function Attrs: nounwind uwtable
define void @ingot_gemm(ptr noundef readonly captures(none) %0, ptr noundef readonly captures(none) %1, i64 noundef %2, i64 noundef %3) local_unnamed_addr #2 {
  %5 = getelementptr inbounds nuw i8, ptr %1, i64 16
  %6 = load i64, ptr %5, align 8, !tbaa !12
  %7 = getelementptr inbounds i64, ptr %0, i64 %6
  %8 = load i64, ptr %7, align 8, !tbaa !12
  %9 = inttoptr i64 %8 to ptr
  %10 = getelementptr inbounds nuw i8, ptr %1, i64 40
  %11 = load i64, ptr %10, align 8, !tbaa !12
  %12 = getelementptr inbounds i8, ptr %9, i64 %11
  %13 = getelementptr inbounds nuw i8, ptr %1, i64 24
  %14 = load i64, ptr %13, align 8, !tbaa !12
  %15 = getelementptr inbounds i64, ptr %0, i64 %14
  %16 = load i64, ptr %15, align 8, !tbaa !12
  %17 = inttoptr i64 %16 to ptr
  %18 = getelementptr inbounds nuw i8, ptr %1, i64 48
  %19 = load i64, ptr %18, align 8, !tbaa !12
  %20 = getelementptr inbounds i8, ptr %17, i64 %19
  %21 = getelementptr inbounds nuw i8, ptr %1, i64 32
  %22 = load i64, ptr %21, align 8, !tbaa !12
  %23 = getelementptr inbounds i64, ptr %0, i64 %22
  %24 = load i64, ptr %23, align 8, !tbaa !12
  %25 = inttoptr i64 %24 to ptr
  %26 = getelementptr inbounds nuw i8, ptr %1, i64 56
  %27 = load i64, ptr %26, align 8, !tbaa !12
  %28 = getelementptr inbounds i8, ptr %25, i64 %27
  %29 = getelementptr inbounds nuw i8, ptr %1, i64 64
  %30 = load i64, ptr %29, align 8, !tbaa !12
  %31 = icmp eq i64 %30, 0
  %32 = select i1 %31, i32 111, i32 112
  %33 = getelementptr inbounds nuw i8, ptr %1, i64 72
  %34 = load i64, ptr %33, align 8, !tbaa !12
  %35 = icmp eq i64 %34, 0
  %36 = select i1 %35, i32 111, i32 112
  %37 = getelementptr inbounds nuw i8, ptr %1, i64 80
  %38 = load i64, ptr %37, align 8, !tbaa !12
  %39 = getelementptr inbounds nuw i8, ptr %1, i64 88
  %40 = load i64, ptr %39, align 8, !tbaa !12
  %41 = mul nsw i64 %40, %38
  %42 = getelementptr inbounds nuw i8, ptr %1, i64 96
  %43 = load i64, ptr %42, align 8, !tbaa !12
  %44 = mul nsw i64 %41, %43
  %45 = load ptr, ptr @blas_threads, align 8, !tbaa !10
  %46 = icmp eq ptr %45, null
  %47 = load i64, ptr @blas_tiny, align 8
  %48 = icmp sle i64 %44, %47
  %49 = select i1 %46, i1 true, i1 %48
  %50 = load i64, ptr @blas_alone, align 8
  %51 = icmp sgt i64 %44, %50
  %52 = select i1 %49, i1 true, i1 %51
  br i1 %52, label %55, label %53

53:                                               ; preds = %4
  %54 = tail call i32 %45(i32 noundef 1) #13
  br label %55

55:                                               ; preds = %4, %53
  %56 = phi i32 [ %54, %53 ], [ 1, %4 ]
  %57 = icmp slt i64 %2, %3
  br i1 %57, label %58, label %66

58:                                               ; preds = %55
  %59 = getelementptr inbounds nuw i8, ptr %1, i64 128
  %60 = getelementptr inbounds nuw i8, ptr %1, i64 136
  %61 = getelementptr inbounds nuw i8, ptr %1, i64 144
  %62 = getelementptr inbounds nuw i8, ptr %1, i64 8
  %63 = getelementptr inbounds nuw i8, ptr %1, i64 104
  %64 = getelementptr inbounds nuw i8, ptr %1, i64 112
  %65 = getelementptr inbounds nuw i8, ptr %1, i64 120
  br label %68

66:                                               ; preds = %91, %55
  %67 = icmp eq i32 %56, 1
  br i1 %67, label %97, label %94

68:                                               ; preds = %58, %91
  %69 = phi i64 [ %2, %58 ], [ %92, %91 ]
  %70 = load i64, ptr %59, align 8, !tbaa !12
  %71 = mul nsw i64 %70, %69
  %72 = getelementptr inbounds i8, ptr %12, i64 %71
  %73 = load i64, ptr %60, align 8, !tbaa !12
  %74 = mul nsw i64 %73, %69
  %75 = getelementptr inbounds i8, ptr %20, i64 %74
  %76 = load i64, ptr %61, align 8, !tbaa !12
  %77 = mul nsw i64 %76, %69
  %78 = getelementptr inbounds i8, ptr %28, i64 %77
  %79 = load i64, ptr %62, align 8, !tbaa !12
  %80 = icmp eq i64 %79, 0
  %81 = load i64, ptr %1, align 8, !tbaa !12
  %82 = inttoptr i64 %81 to ptr
  %83 = load i64, ptr %37, align 8, !tbaa !12
  %84 = load i64, ptr %39, align 8, !tbaa !12
  %85 = load i64, ptr %42, align 8, !tbaa !12
  %86 = load i64, ptr %63, align 8, !tbaa !12
  %87 = load i64, ptr %64, align 8, !tbaa !12
  %88 = load i64, ptr %65, align 8, !tbaa !12
  br i1 %80, label %90, label %89

89:                                               ; preds = %68
  tail call void %82(i32 noundef 101, i32 noundef %32, i32 noundef %36, i64 noundef %83, i64 noundef %84, i64 noundef %85, double noundef 1.000000e+00, ptr noundef %72, i64 noundef %86, ptr noundef %75, i64 noundef %87, double noundef 0.000000e+00, ptr noundef %78, i64 noundef %88) #13
  br label %91

90:                                               ; preds = %68
  tail call void %82(i32 noundef 101, i32 noundef %32, i32 noundef %36, i64 noundef %83, i64 noundef %84, i64 noundef %85, float noundef 1.000000e+00, ptr noundef %72, i64 noundef %86, ptr noundef %75, i64 noundef %87, float noundef 0.000000e+00, ptr noundef %78, i64 noundef %88) #13
  br label %91

91:                                               ; preds = %90, %89
  %92 = add i64 %69, 1
  %93 = icmp eq i64 %92, %3
  br i1 %93, label %66, label %68, !llvm.loop !30

94:                                               ; preds = %66
  %95 = load ptr, ptr @blas_threads, align 8, !tbaa !10
  %96 = tail call i32 %95(i32 noundef %56) #13
  br label %97

97:                                               ; preds = %94, %66
  ret void
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.start.p0(ptr captures(none)) #3

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.end.p0(ptr captures(none)) #3

; Function Attrs: nounwind uwtable
define void @ingot_sort(ptr noundef %0, ptr noundef %1, i64 noundef %2, i64 noundef %3, i64 noundef %4) local_unnamed_addr #2 {
  %6 = alloca [2 x i64], align 16
  %7 = alloca [2 x i64], align 16
  call void @llvm.lifetime.start.p0(ptr nonnull %6) #13
  %8 = ptrtoint ptr %0 to i64
  store i64 %8, ptr %6, align 16, !tbaa !12
  %9 = getelementptr inbounds nuw i8, ptr %6, i64 8
  %10 = ptrtoint ptr %1 to i64
  store i64 %10, ptr %9, align 8, !tbaa !12
  call void @llvm.lifetime.start.p0(ptr nonnull %7) #13
  store i64 %3, ptr %7, align 16, !tbaa !12
  %11 = getelementptr inbounds nuw i8, ptr %7, i64 8
  store i64 %4, ptr %11, align 8, !tbaa !12
  call fastcc void @run_units(ptr noundef nonnull @sort_rows, ptr noundef %6, ptr noundef nonnull %7, i64 noundef %2, i64 noundef 1)
  call void @llvm.lifetime.end.p0(ptr nonnull %7) #13
  call void @llvm.lifetime.end.p0(ptr nonnull %6) #13
  ret void
}

; Function Attrs: nounwind uwtable
define internal fastcc void @run_units(ptr noundef %0, ptr noundef nonnull %1, ptr noundef %2, i64 noundef %3, i64 noundef %4) unnamed_addr #2 {
  %6 = alloca [64 x i64], align 16
  %7 = load i32, ptr @pool, align 64, !tbaa !21
  %8 = icmp ne i32 %7, 0
  %9 = icmp ne i64 %4, 0
  %10 = and i1 %9, %8
  %11 = icmp sgt i64 %3, %4
  %12 = and i1 %11, %10
  br i1 %12, label %13, label %16

13:                                               ; preds = %5
  %14 = cmpxchg ptr getelementptr inbounds nuw (i8, ptr @pool, i64 64), i32 0, i32 1 acquire monotonic, align 64
  %15 = extractvalue { i32, i1 } %14, 1
  br i1 %15, label %17, label %16

16:                                               ; preds = %13, %5
  tail call void %0(ptr noundef nonnull %1, ptr noundef %2, i64 noundef 0, i64 noundef %3) #13
  br label %159

17:                                               ; preds = %13
  %18 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %19 = icmp eq i32 %18, 0
  br i1 %19, label %20, label %44

20:                                               ; preds = %17
  %21 = load i32, ptr @pool, align 64, !tbaa !21
  %22 = icmp sgt i32 %21, 1024
  br i1 %22, label %23, label %24

23:                                               ; preds = %20
  store i32 1024, ptr @pool, align 64, !tbaa !21
  br label %26

24:                                               ; preds = %20
  %25 = icmp sgt i32 %21, 0
  br i1 %25, label %26, label %44

26:                                               ; preds = %23, %24
  br label %27

27:                                               ; preds = %26, %35
  %28 = phi i32 [ %41, %35 ], [ 0, %26 ]
  %29 = sext i32 %28 to i64
  %30 = getelementptr inbounds i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %29
  %31 = tail call i32 @pthread_create(ptr noundef nonnull %30, ptr noundef null, ptr noundef nonnull @worker, ptr noundef null) #13
  %32 = icmp eq i32 %31, 0
  %33 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  br i1 %32, label %35, label %34

34:                                               ; preds = %27
  store i32 %33, ptr @pool, align 64, !tbaa !21
  br label %44

35:                                               ; preds = %27
  %36 = add nsw i32 %33, 1
  store i32 %36, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %37 = sext i32 %33 to i64
  %38 = getelementptr inbounds i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %37
  %39 = load i64, ptr %38, align 8, !tbaa !14
  %40 = tail call i32 @pthread_detach(i64 noundef %39) #13
  %41 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %42 = load i32, ptr @pool, align 64, !tbaa !21
  %43 = icmp slt i32 %41, %42
  br i1 %43, label %27, label %44, !llvm.loop !32

44:                                               ; preds = %35, %34, %24, %17
  %45 = load ptr, ptr @places, align 8, !tbaa !16
  %46 = icmp eq ptr %45, null
  br i1 %46, label %119, label %47

47:                                               ; preds = %44
  %48 = tail call i32 %45() #13
  %49 = icmp ugt i32 %48, 4095
  %50 = load i32, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8216), align 8
  %51 = icmp eq i32 %48, %50
  %52 = select i1 %49, i1 true, i1 %51
  br i1 %52, label %119, label %53

53:                                               ; preds = %47
  store i32 %48, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8216), align 8, !tbaa !20
  call void @llvm.lifetime.start.p0(ptr nonnull %6) #13
  %54 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8), align 8, !tbaa !18
  %55 = call i32 %54(i32 noundef 0, i64 noundef 512, ptr noundef nonnull %6) #13
  %56 = icmp eq i32 %55, 0
  br i1 %56, label %57, label %118

57:                                               ; preds = %53
  %58 = and i32 %48, 63
  %59 = zext nneg i32 %58 to i64
  %60 = shl nuw i64 1, %59
  %61 = xor i64 %60, -1
  %62 = lshr i32 %48, 6
  %63 = zext nneg i32 %62 to i64
  %64 = getelementptr inbounds nuw i64, ptr %6, i64 %63
  %65 = load i64, ptr %64, align 8, !tbaa !14
  %66 = and i64 %65, %61
  store i64 %66, ptr %64, align 8, !tbaa !14
  br label %72

67:                                               ; preds = %72
  %68 = icmp ne i64 %105, 0
  %69 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4
  %70 = icmp sgt i32 %69, 0
  %71 = select i1 %68, i1 %70, i1 false
  br i1 %71, label %108, label %118

72:                                               ; preds = %72, %57
  %73 = phi i64 [ 0, %57 ], [ %106, %72 ]
  %74 = phi i64 [ 0, %57 ], [ %105, %72 ]
  %75 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %76 = load i64, ptr %75, align 16, !tbaa !14
  %77 = or i64 %76, %74
  %78 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %79 = getelementptr inbounds nuw i8, ptr %78, i64 8
  %80 = load i64, ptr %79, align 8, !tbaa !14
  %81 = or i64 %80, %77
  %82 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %83 = getelementptr inbounds nuw i8, ptr %82, i64 16
  %84 = load i64, ptr %83, align 16, !tbaa !14
  %85 = or i64 %84, %81
  %86 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %87 = getelementptr inbounds nuw i8, ptr %86, i64 24
  %88 = load i64, ptr %87, align 8, !tbaa !14
  %89 = or i64 %88, %85
  %90 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %91 = getelementptr inbounds nuw i8, ptr %90, i64 32
  %92 = load i64, ptr %91, align 16, !tbaa !14
  %93 = or i64 %92, %89
  %94 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %95 = getelementptr inbounds nuw i8, ptr %94, i64 40
  %96 = load i64, ptr %95, align 8, !tbaa !14
  %97 = or i64 %96, %93
  %98 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %99 = getelementptr inbounds nuw i8, ptr %98, i64 48
  %100 = load i64, ptr %99, align 16, !tbaa !14
  %101 = or i64 %100, %97
  %102 = getelementptr inbounds nuw i64, ptr %6, i64 %73
  %103 = getelementptr inbounds nuw i8, ptr %102, i64 56
  %104 = load i64, ptr %103, align 8, !tbaa !14
  %105 = or i64 %104, %101
  %106 = add nuw nsw i64 %73, 8
  %107 = icmp eq i64 %106, 64
  br i1 %107, label %67, label %72, !llvm.loop !33

108:                                              ; preds = %67, %108
  %109 = phi i64 [ %114, %108 ], [ 0, %67 ]
  %110 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @places, i64 16), align 8, !tbaa !19
  %111 = getelementptr inbounds nuw i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %109
  %112 = load i64, ptr %111, align 8, !tbaa !14
  %113 = call i32 %110(i64 noundef %112, i64 noundef 512, ptr noundef nonnull %6) #13
  %114 = add nuw nsw i64 %109, 1
  %115 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4
  %116 = sext i32 %115 to i64
  %117 = icmp slt i64 %114, %116
  br i1 %117, label %108, label %118, !llvm.loop !34

118:                                              ; preds = %108, %67, %53
  call void @llvm.lifetime.end.p0(ptr nonnull %6) #13
  br label %119

119:                                              ; preds = %44, %47, %118
  store ptr %0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !35
  store ptr %1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !36
  store ptr %2, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !37
  store i64 %3, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !38
  store i64 %4, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !39
  store atomic i64 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448) monotonic, align 64
  store atomic i32 1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256) seq_cst, align 64
  %120 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 1 seq_cst, align 64
  %121 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192) seq_cst, align 64
  %122 = icmp eq i32 %121, 0
  br i1 %122, label %126, label %123

123:                                              ; preds = %119
  %124 = load i64, ptr @futex_call, align 8, !tbaa !14
  %125 = call i64 (i64, ...) @syscall(i64 noundef %124, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 noundef 129, i32 noundef 2147483647, i32 noundef 0, i32 noundef 0, i32 noundef 0) #13
  br label %126

126:                                              ; preds = %123, %119
  %127 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !39
  %128 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %127 monotonic, align 64
  %129 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !38
  %130 = icmp slt i64 %128, %129
  br i1 %130, label %131, label %144

131:                                              ; preds = %126, %131
  %132 = phi i64 [ %142, %131 ], [ %129, %126 ]
  %133 = phi i64 [ %141, %131 ], [ %128, %126 ]
  %134 = phi i64 [ %140, %131 ], [ %127, %126 ]
  %135 = add nsw i64 %134, %133
  %136 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !35
  %137 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !36
  %138 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !37
  %139 = call i64 @llvm.smin.i64(i64 %135, i64 %132)
  call void %136(ptr noundef %137, ptr noundef %138, i64 noundef %133, i64 noundef %139) #13
  %140 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !39
  %141 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %140 monotonic, align 64
  %142 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !38
  %143 = icmp slt i64 %141, %142
  br i1 %143, label %131, label %144

144:                                              ; preds = %131, %126
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256) seq_cst, align 64
  %145 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320) seq_cst, align 64
  %146 = icmp eq i32 %145, 0
  br i1 %146, label %158, label %147

147:                                              ; preds = %144, %154
  %148 = phi i32 [ %156, %154 ], [ %145, %144 ]
  %149 = phi i32 [ %155, %154 ], [ 0, %144 ]
  %150 = icmp samesign ult i32 %149, 100000
  br i1 %150, label %154, label %151

151:                                              ; preds = %147
  store atomic i32 1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384) seq_cst, align 64
  %152 = load i64, ptr @futex_call, align 8, !tbaa !14
  %153 = call i64 (i64, ...) @syscall(i64 noundef %152, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 noundef 128, i32 noundef %148, i32 noundef 0, i32 noundef 0, i32 noundef 0) #13
  br label %154

154:                                              ; preds = %151, %147
  %155 = add nuw nsw i32 %149, 1
  %156 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320) seq_cst, align 64
  %157 = icmp eq i32 %156, 0
  br i1 %157, label %158, label %147

158:                                              ; preds = %154, %144
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384) monotonic, align 64
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 64) release, align 64
  br label %159

159:                                              ; preds = %158, %16
  ret void
}

; Function Attrs: nofree norecurse nosync nounwind memory(readwrite, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable
define internal void @sort_rows(ptr noundef readonly captures(none) %0, ptr noundef readonly captures(none) %1, i64 noundef %2, i64 noundef %3) #4 {
  %5 = alloca [3 x [2048 x i32]], align 16
  %6 = load i64, ptr %1, align 8, !tbaa !12
  %7 = icmp slt i64 %2, %3
  br i1 %7, label %8, label %28

8:                                                ; preds = %4
  %9 = getelementptr inbounds nuw i8, ptr %1, i64 8
  %10 = load i64, ptr %9, align 8, !tbaa !12
  %11 = add nsw i64 %10, 10
  %12 = sdiv i64 %11, 11
  %13 = getelementptr inbounds nuw i8, ptr %0, i64 8
  %14 = icmp sgt i64 %6, 0
  %15 = icmp sgt i64 %10, 0
  %16 = shl i64 %6, 3
  %17 = tail call i64 @llvm.smax.i64(i64 %12, i64 1)
  %18 = and i64 %17, 1
  %19 = icmp slt i64 %10, 12
  %20 = and i64 %17, 1152921504606846974
  %21 = icmp eq i64 %18, 0
  %22 = icmp ne i64 %18, 0
  %23 = and i64 %6, 1
  %24 = icmp eq i64 %6, 1
  %25 = and i64 %6, -2
  %26 = icmp eq i64 %23, 0
  %27 = icmp ne i64 %23, 0
  br label %29

28:                                               ; preds = %162, %4
  ret void

29:                                               ; preds = %8, %162
  %30 = phi i64 [ %2, %8 ], [ %163, %162 ]
  call void @llvm.lifetime.start.p0(ptr nonnull %5) #13
  call void @llvm.memset.p0.i64(ptr noundef nonnull align 16 dereferenceable(24576) %5, i8 0, i64 24576, i1 false)
  %31 = load i64, ptr %0, align 8, !tbaa !12
  %32 = inttoptr i64 %31 to ptr
  %33 = mul nsw i64 %30, %6
  %34 = getelementptr inbounds i64, ptr %32, i64 %33
  %35 = load i64, ptr %13, align 8, !tbaa !12
  %36 = inttoptr i64 %35 to ptr
  %37 = getelementptr inbounds i64, ptr %36, i64 %33
  br i1 %14, label %39, label %38

38:                                               ; preds = %55, %29
  br i1 %15, label %83, label %162

39:                                               ; preds = %29, %55
  %40 = phi i64 [ %56, %55 ], [ 0, %29 ]
  br i1 %15, label %41, label %55

41:                                               ; preds = %39
  %42 = getelementptr inbounds nuw i64, ptr %34, i64 %40
  %43 = load i64, ptr %42, align 8, !tbaa !12
  br i1 %19, label %45, label %58

44:                                               ; preds = %58
  br i1 %21, label %55, label %45

45:                                               ; preds = %44, %41
  %46 = phi i64 [ 0, %41 ], [ %78, %44 ]
  tail call void @llvm.assume(i1 %22)
  %47 = getelementptr inbounds nuw [2048 x i32], ptr %5, i64 %46
  %48 = mul nuw nsw i64 %46, 11
  %49 = add nuw nsw i64 %48, 32
  %50 = lshr i64 %43, %49
  %51 = and i64 %50, 2047
  %52 = getelementptr inbounds nuw i32, ptr %47, i64 %51
  %53 = load i32, ptr %52, align 4, !tbaa !6
  %54 = add i32 %53, 1
  store i32 %54, ptr %52, align 4, !tbaa !6
  br label %55

55:                                               ; preds = %45, %44, %39
  %56 = add nuw nsw i64 %40, 1
  %57 = icmp eq i64 %56, %6
  br i1 %57, label %38, label %39, !llvm.loop !40

58:                                               ; preds = %41, %58
  %59 = phi i64 [ %78, %58 ], [ 0, %41 ]
  %60 = phi i64 [ %79, %58 ], [ 0, %41 ]
  %61 = getelementptr inbounds nuw [2048 x i32], ptr %5, i64 %59
  %62 = mul nuw nsw i64 %59, 11
  %63 = add nuw nsw i64 %62, 32
  %64 = lshr i64 %43, %63
  %65 = and i64 %64, 2047
  %66 = getelementptr inbounds nuw i32, ptr %61, i64 %65
  %67 = load i32, ptr %66, align 4, !tbaa !6
  %68 = add i32 %67, 1
  store i32 %68, ptr %66, align 4, !tbaa !6
  %69 = or disjoint i64 %59, 1
  %70 = getelementptr inbounds nuw [2048 x i32], ptr %5, i64 %69
  %71 = mul nuw nsw i64 %69, 11
  %72 = add nuw nsw i64 %71, 32
  %73 = lshr i64 %43, %72
  %74 = and i64 %73, 2047
  %75 = getelementptr inbounds nuw i32, ptr %70, i64 %74
  %76 = load i32, ptr %75, align 4, !tbaa !6
  %77 = add i32 %76, 1
  store i32 %77, ptr %75, align 4, !tbaa !6
  %78 = add nuw nsw i64 %59, 2
  %79 = add i64 %60, 2
  %80 = icmp eq i64 %79, %20
  br i1 %80, label %44, label %58, !llvm.loop !41

81:                                               ; preds = %157
  %82 = icmp eq ptr %158, %34
  br i1 %82, label %162, label %161

83:                                               ; preds = %38, %157
  %84 = phi i64 [ %159, %157 ], [ 0, %38 ]
  %85 = phi ptr [ %158, %157 ], [ %34, %38 ]
  %86 = mul nuw i64 %84, 11
  %87 = add nuw i64 %86, 32
  %88 = getelementptr inbounds nuw [2048 x i32], ptr %5, i64 %84
  %89 = load i64, ptr %85, align 8, !tbaa !12
  %90 = and i64 %87, 4294967295
  %91 = lshr i64 %89, %90
  %92 = and i64 %91, 2047
  %93 = getelementptr inbounds nuw i32, ptr %88, i64 %92
  %94 = load i32, ptr %93, align 4, !tbaa !6
  %95 = zext i32 %94 to i64
  %96 = icmp sgt i64 %6, %95
  br i1 %96, label %97, label %157

97:                                               ; preds = %83, %97
  %98 = phi i32 [ %114, %97 ], [ 0, %83 ]
  %99 = phi i64 [ %115, %97 ], [ 0, %83 ]
  %100 = getelementptr inbounds nuw i32, ptr %88, i64 %99
  %101 = load i32, ptr %100, align 16, !tbaa !6
  store i32 %98, ptr %100, align 16, !tbaa !6
  %102 = add i32 %101, %98
  %103 = getelementptr inbounds nuw i32, ptr %88, i64 %99
  %104 = getelementptr inbounds nuw i8, ptr %103, i64 4
  %105 = load i32, ptr %104, align 4, !tbaa !6
  store i32 %102, ptr %104, align 4, !tbaa !6
  %106 = add i32 %105, %102
  %107 = getelementptr inbounds nuw i32, ptr %88, i64 %99
  %108 = getelementptr inbounds nuw i8, ptr %107, i64 8
  %109 = load i32, ptr %108, align 8, !tbaa !6
  store i32 %106, ptr %108, align 8, !tbaa !6
  %110 = add i32 %109, %106
  %111 = getelementptr inbounds nuw i32, ptr %88, i64 %99
  %112 = getelementptr inbounds nuw i8, ptr %111, i64 12
  %113 = load i32, ptr %112, align 4, !tbaa !6
  store i32 %110, ptr %112, align 4, !tbaa !6
  %114 = add i32 %113, %110
  %115 = add nuw nsw i64 %99, 4
  %116 = icmp eq i64 %115, 2048
  br i1 %116, label %117, label %97, !llvm.loop !42

117:                                              ; preds = %97
  %118 = icmp eq ptr %85, %34
  %119 = select i1 %118, ptr %37, ptr %34
  br i1 %24, label %146, label %120

120:                                              ; preds = %117, %120
  %121 = phi i64 [ %142, %120 ], [ 0, %117 ]
  %122 = phi i64 [ %143, %120 ], [ 0, %117 ]
  %123 = getelementptr inbounds nuw i64, ptr %85, i64 %121
  %124 = load i64, ptr %123, align 8, !tbaa !12
  %125 = lshr i64 %124, %90
  %126 = and i64 %125, 2047
  %127 = getelementptr inbounds nuw i32, ptr %88, i64 %126
  %128 = load i32, ptr %127, align 4, !tbaa !6
  %129 = add i32 %128, 1
  store i32 %129, ptr %127, align 4, !tbaa !6
  %130 = zext i32 %128 to i64
  %131 = getelementptr inbounds nuw i64, ptr %119, i64 %130
  store i64 %124, ptr %131, align 8, !tbaa !12
  %132 = getelementptr inbounds nuw i64, ptr %85, i64 %121
  %133 = getelementptr inbounds nuw i8, ptr %132, i64 8
  %134 = load i64, ptr %133, align 8, !tbaa !12
  %135 = lshr i64 %134, %90
  %136 = and i64 %135, 2047
  %137 = getelementptr inbounds nuw i32, ptr %88, i64 %136
  %138 = load i32, ptr %137, align 4, !tbaa !6
  %139 = add i32 %138, 1
  store i32 %139, ptr %137, align 4, !tbaa !6
  %140 = zext i32 %138 to i64
  %141 = getelementptr inbounds nuw i64, ptr %119, i64 %140
  store i64 %134, ptr %141, align 8, !tbaa !12
  %142 = add nuw nsw i64 %121, 2
  %143 = add i64 %122, 2
  %144 = icmp eq i64 %143, %25
  br i1 %144, label %145, label %120, !llvm.loop !43

145:                                              ; preds = %120
  br i1 %26, label %157, label %146

146:                                              ; preds = %145, %117
  %147 = phi i64 [ 0, %117 ], [ %142, %145 ]
  tail call void @llvm.assume(i1 %27)
  %148 = getelementptr inbounds nuw i64, ptr %85, i64 %147
  %149 = load i64, ptr %148, align 8, !tbaa !12
  %150 = lshr i64 %149, %90
  %151 = and i64 %150, 2047
  %152 = getelementptr inbounds nuw i32, ptr %88, i64 %151
  %153 = load i32, ptr %152, align 4, !tbaa !6
  %154 = add i32 %153, 1
  store i32 %154, ptr %152, align 4, !tbaa !6
  %155 = zext i32 %153 to i64
  %156 = getelementptr inbounds nuw i64, ptr %119, i64 %155
  store i64 %149, ptr %156, align 8, !tbaa !12
  br label %157

157:                                              ; preds = %146, %145, %83
  %158 = phi ptr [ %85, %83 ], [ %119, %145 ], [ %119, %146 ]
  %159 = add nuw nsw i64 %84, 1
  %160 = icmp eq i64 %159, %17
  br i1 %160, label %81, label %83, !llvm.loop !44

161:                                              ; preds = %81
  tail call void @llvm.memcpy.p0.p0.i64(ptr align 8 %34, ptr nonnull align 8 %158, i64 %16, i1 false)
  br label %162

162:                                              ; preds = %38, %161, %81
  call void @llvm.lifetime.end.p0(ptr nonnull %5) #13
  %163 = add nsw i64 %30, 1
  %164 = icmp eq i64 %163, %3
  br i1 %164, label %28, label %29, !llvm.loop !45
}

; Function Attrs: nounwind uwtable
define ptr @ingot_call(ptr noundef %0, ptr noundef readonly captures(none) %1, i64 noundef %2) local_unnamed_addr #2 {
  %4 = alloca [130 x i64], align 16
  %5 = load i64, ptr @bytes_payload, align 8, !tbaa !12
  %6 = getelementptr inbounds i8, ptr %0, i64 %5
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #13
  %7 = load i64, ptr %6, align 8, !tbaa !12
  %8 = icmp slt i64 %2, %7
  br i1 %8, label %11, label %9

9:                                                ; preds = %3
  %10 = icmp sgt i64 %7, 0
  br i1 %10, label %16, label %26

11:                                               ; preds = %3
  %12 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !46
  tail call void @PyErr_SetString(ptr noundef %12, ptr noundef nonnull @.str) #13
  br label %89

13:                                               ; preds = %16
  %14 = add nuw nsw i64 %17, 1
  %15 = icmp eq i64 %14, %7
  br i1 %15, label %26, label %16, !llvm.loop !48

16:                                               ; preds = %9, %13
  %17 = phi i64 [ %14, %13 ], [ 0, %9 ]
  %18 = getelementptr inbounds nuw i64, ptr %6, i64 %17
  %19 = getelementptr inbounds nuw i8, ptr %18, i64 32
  %20 = load i64, ptr %19, align 8, !tbaa !12
  %21 = getelementptr inbounds nuw ptr, ptr %1, i64 %17
  %22 = load ptr, ptr %21, align 8, !tbaa !46
  %23 = getelementptr inbounds nuw i64, ptr %4, i64 %17
  %24 = call fastcc i32 @word(i64 noundef %20, ptr noundef %22, ptr noundef %23)
  %25 = icmp eq i32 %24, 0
  br i1 %25, label %89, label %13

26:                                               ; preds = %13, %9
  %27 = getelementptr inbounds nuw i8, ptr %6, i64 24
  %28 = load i64, ptr %27, align 8, !tbaa !12
  %29 = icmp eq i64 %28, 0
  br i1 %29, label %35, label %30

30:                                               ; preds = %26
  %31 = tail call ptr @malloc(i64 noundef %28) #14
  %32 = icmp eq ptr %31, null
  br i1 %32, label %33, label %35

33:                                               ; preds = %30
  %34 = tail call ptr @PyErr_NoMemory() #13
  br label %89

35:                                               ; preds = %30, %26
  %36 = phi ptr [ %31, %30 ], [ null, %26 ]
  %37 = ptrtoint ptr %36 to i64
  %38 = getelementptr i64, ptr %4, i64 %7
  %39 = getelementptr i8, ptr %38, i64 8
  store i64 %37, ptr %39, align 8, !tbaa !12
  %40 = getelementptr inbounds nuw i8, ptr %6, i64 16
  %41 = load i64, ptr %40, align 8, !tbaa !12
  %42 = icmp eq i64 %41, 0
  br i1 %42, label %45, label %43

43:                                               ; preds = %35
  %44 = tail call ptr @PyEval_SaveThread() #13
  br label %45

45:                                               ; preds = %43, %35
  %46 = phi ptr [ %44, %43 ], [ null, %35 ]
  %47 = load i64, ptr %6, align 8, !tbaa !12
  %48 = getelementptr inbounds nuw i8, ptr %6, i64 8
  %49 = load i64, ptr %48, align 8, !tbaa !12
  %50 = getelementptr inbounds i64, ptr %4, i64 %47
  store i64 0, ptr %50, align 8, !tbaa !12
  %51 = icmp sgt i64 %49, 0
  br i1 %51, label %52, label %76

52:                                               ; preds = %45
  %53 = getelementptr inbounds nuw i8, ptr %6, i64 32
  %54 = getelementptr inbounds i64, ptr %53, i64 %47
  br label %57

55:                                               ; preds = %72
  %56 = load i64, ptr %50, align 8, !tbaa !12
  br label %76

57:                                               ; preds = %72, %52
  %58 = phi i64 [ %73, %72 ], [ 0, %52 ]
  %59 = phi ptr [ %74, %72 ], [ %54, %52 ]
  %60 = getelementptr inbounds nuw i8, ptr %59, i64 16
  %61 = load i64, ptr %60, align 8, !tbaa !12
  %62 = icmp eq i64 %61, 1
  %63 = load i64, ptr %59, align 8, !tbaa !12
  %64 = inttoptr i64 %63 to ptr
  %65 = getelementptr inbounds nuw i8, ptr %59, i64 8
  %66 = load i64, ptr %65, align 8, !tbaa !12
  %67 = getelementptr inbounds i64, ptr %6, i64 %66
  br i1 %62, label %68, label %69

68:                                               ; preds = %57
  call void %64(ptr noundef nonnull %4, ptr noundef nonnull %67, i64 noundef 0, i64 noundef 1) #13
  br label %72

69:                                               ; preds = %57
  %70 = getelementptr inbounds nuw i8, ptr %59, i64 24
  %71 = load i64, ptr %70, align 8, !tbaa !12
  call fastcc void @run_units(ptr noundef %64, ptr noundef nonnull %4, ptr noundef nonnull %67, i64 noundef %61, i64 noundef %71)
  br label %72

72:                                               ; preds = %69, %68
  %73 = add nuw nsw i64 %58, 1
  %74 = getelementptr inbounds nuw i8, ptr %59, i64 32
  %75 = icmp eq i64 %73, %49
  br i1 %75, label %55, label %57, !llvm.loop !49

76:                                               ; preds = %45, %55
  %77 = phi i64 [ %56, %55 ], [ 0, %45 ]
  %78 = load i64, ptr %40, align 8, !tbaa !12
  %79 = icmp eq i64 %78, 0
  br i1 %79, label %81, label %80

80:                                               ; preds = %76
  call void @PyEval_RestoreThread(ptr noundef %46) #13
  br label %81

81:                                               ; preds = %80, %76
  %82 = icmp eq ptr %36, null
  br i1 %82, label %84, label %83

83:                                               ; preds = %81
  call void @free(ptr noundef nonnull %36)
  br label %84

84:                                               ; preds = %83, %81
  %85 = icmp eq i64 %77, 0
  br i1 %85, label %88, label %86

86:                                               ; preds = %84
  %87 = call ptr @PyLong_FromLongLong(i64 noundef %77) #13
  br label %89

88:                                               ; preds = %84
  call void @Py_IncRef(ptr noundef nonnull @_Py_NoneStruct) #13
  br label %89

89:                                               ; preds = %16, %88, %86, %33, %11
  %90 = phi ptr [ null, %11 ], [ @_Py_NoneStruct, %88 ], [ %34, %33 ], [ %87, %86 ], [ null, %16 ]
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #13
  ret ptr %90
}

declare void @PyErr_SetString(ptr noundef, ptr noundef) local_unnamed_addr #5

; Function Attrs: nounwind uwtable
define internal fastcc range(i32 0, 2) i32 @word(i64 noundef %0, ptr noundef %1, ptr noundef nonnull captures(none) %2) unnamed_addr #2 {
  %4 = alloca i32, align 4
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #13
  store i32 0, ptr %4, align 4, !tbaa !6
  switch i64 %0, label %46 [
    i64 0, label %5
    i64 1, label %6
    i64 2, label %20
    i64 3, label %26
  ]

5:                                                ; preds = %3
  store i64 0, ptr %2, align 8, !tbaa !12
  br label %50

6:                                                ; preds = %3
  %7 = getelementptr inbounds nuw i8, ptr %1, i64 8
  %8 = load ptr, ptr %7, align 8, !tbaa !50
  %9 = load ptr, ptr @array_type, align 8, !tbaa !10
  %10 = icmp eq ptr %8, %9
  br i1 %10, label %16, label %11

11:                                               ; preds = %6
  %12 = tail call i32 @PyType_IsSubtype(ptr noundef %8, ptr noundef %9) #13
  %13 = icmp eq i32 %12, 0
  br i1 %13, label %14, label %16

14:                                               ; preds = %11
  %15 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !46
  tail call void @PyErr_SetString(ptr noundef %15, ptr noundef nonnull @.str.3) #13
  br label %50

16:                                               ; preds = %6, %11
  %17 = getelementptr inbounds nuw i8, ptr %1, i64 16
  %18 = load ptr, ptr %17, align 8, !tbaa !52
  %19 = ptrtoint ptr %18 to i64
  store i64 %19, ptr %2, align 8, !tbaa !12
  br label %50

20:                                               ; preds = %3
  %21 = tail call double @PyFloat_AsDouble(ptr noundef %1) #13
  store double %21, ptr %2, align 8, !tbaa !12
  %22 = fcmp oeq double %21, -1.000000e+00
  br i1 %22, label %23, label %50

23:                                               ; preds = %20
  %24 = tail call ptr @PyErr_Occurred() #13
  %25 = icmp eq ptr %24, null
  br label %50

26:                                               ; preds = %3
  %27 = call i64 @PyLong_AsLongLongAndOverflow(ptr noundef %1, ptr noundef nonnull %4) #13
  store i64 %27, ptr %2, align 8, !tbaa !12
  %28 = load i32, ptr %4, align 4, !tbaa !6
  %29 = icmp sgt i32 %28, 0
  br i1 %29, label %30, label %33

30:                                               ; preds = %26
  %31 = call i64 @PyLong_AsUnsignedLongLong(ptr noundef %1) #13
  store i64 %31, ptr %2, align 8, !tbaa !12
  %32 = load i32, ptr %4, align 4, !tbaa !6
  br label %33

33:                                               ; preds = %30, %26
  %34 = phi i64 [ %31, %30 ], [ %27, %26 ]
  %35 = phi i32 [ %32, %30 ], [ %28, %26 ]
  %36 = icmp slt i32 %35, 0
  br i1 %36, label %37, label %40

37:                                               ; preds = %33
  %38 = load ptr, ptr @PyExc_OverflowError, align 8, !tbaa !46
  call void @PyErr_SetString(ptr noundef %38, ptr noundef nonnull @.str.4) #13
  %39 = load i64, ptr %2, align 8, !tbaa !12
  br label %40

40:                                               ; preds = %37, %33
  %41 = phi i64 [ %39, %37 ], [ %34, %33 ]
  %42 = icmp eq i64 %41, -1
  br i1 %42, label %43, label %50

43:                                               ; preds = %40
  %44 = call ptr @PyErr_Occurred() #13
  %45 = icmp eq ptr %44, null
  br label %50

46:                                               ; preds = %3
  %47 = tail call i32 @PyObject_IsTrue(ptr noundef %1) #13
  %48 = sext i32 %47 to i64
  store i64 %48, ptr %2, align 8, !tbaa !12
  %49 = icmp sgt i32 %47, -1
  br label %50

50:                                               ; preds = %40, %43, %20, %23, %46, %16, %14, %5
  %51 = phi i1 [ %49, %46 ], [ true, %5 ], [ true, %16 ], [ false, %14 ], [ %25, %23 ], [ true, %20 ], [ true, %40 ], [ %45, %43 ]
  %52 = zext i1 %51 to i32
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #13
  ret i32 %52
}

; Function Attrs: mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite)
declare noalias noundef ptr @malloc(i64 noundef) local_unnamed_addr #6

declare ptr @PyErr_NoMemory() local_unnamed_addr #5

declare ptr @PyEval_SaveThread() local_unnamed_addr #5

declare void @PyEval_RestoreThread(ptr noundef) local_unnamed_addr #5

; Function Attrs: mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite)
declare void @free(ptr allocptr noundef captures(none)) local_unnamed_addr #7

; Function Attrs: nounwind uwtable
define ptr @ingot_replay(ptr noundef readonly captures(none) %0, ptr noundef readonly captures(none) %1, i64 noundef %2) local_unnamed_addr #2 {
  %4 = alloca [130 x i64], align 16
  %5 = load i64, ptr @bytes_payload, align 8, !tbaa !12
  %6 = getelementptr inbounds i8, ptr %0, i64 %5
  %7 = getelementptr inbounds nuw i8, ptr %6, i64 40
  %8 = load i64, ptr %6, align 8, !tbaa !12
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #13
  %9 = getelementptr inbounds nuw i8, ptr %6, i64 8
  %10 = load i64, ptr %9, align 8, !tbaa !12
  %11 = add nsw i64 %10, %8
  %12 = icmp eq i64 %2, %11
  br i1 %12, label %13, label %17

13:                                               ; preds = %3
  %14 = icmp sgt i64 %8, 0
  br i1 %14, label %15, label %37

15:                                               ; preds = %13
  %16 = load ptr, ptr @array_type, align 8, !tbaa !10
  br label %19

17:                                               ; preds = %3
  %18 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !46
  tail call void @PyErr_SetString(ptr noundef %18, ptr noundef nonnull @.str.1) #13
  br label %180

19:                                               ; preds = %15, %33
  %20 = phi ptr [ %34, %33 ], [ %16, %15 ]
  %21 = phi i64 [ %35, %33 ], [ 0, %15 ]
  %22 = getelementptr inbounds nuw ptr, ptr %1, i64 %21
  %23 = load ptr, ptr %22, align 8, !tbaa !46
  %24 = getelementptr inbounds nuw i8, ptr %23, i64 8
  %25 = load ptr, ptr %24, align 8, !tbaa !50
  %26 = icmp eq ptr %25, %20
  br i1 %26, label %33, label %27

27:                                               ; preds = %19
  %28 = tail call i32 @PyType_IsSubtype(ptr noundef %25, ptr noundef %20) #13
  %29 = icmp eq i32 %28, 0
  %30 = load ptr, ptr @array_type, align 8, !tbaa !10
  br i1 %29, label %31, label %33

31:                                               ; preds = %27
  %32 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !46
  tail call void @PyErr_SetString(ptr noundef %32, ptr noundef nonnull @.str.2) #13
  br label %180

33:                                               ; preds = %19, %27
  %34 = phi ptr [ %20, %19 ], [ %30, %27 ]
  %35 = add nuw nsw i64 %21, 1
  %36 = icmp eq i64 %35, %8
  br i1 %36, label %37, label %19, !llvm.loop !54

37:                                               ; preds = %33, %13
  %38 = getelementptr inbounds nuw i8, ptr %6, i64 32
  %39 = load i64, ptr %38, align 8, !tbaa !12
  %40 = icmp eq i64 %39, 0
  br i1 %40, label %46, label %41

41:                                               ; preds = %37
  %42 = tail call ptr @malloc(i64 noundef %39) #14
  %43 = icmp eq ptr %42, null
  br i1 %43, label %44, label %46

44:                                               ; preds = %41
  %45 = tail call ptr @PyErr_NoMemory() #13
  br label %180

46:                                               ; preds = %41, %37
  %47 = phi ptr [ %42, %41 ], [ null, %37 ]
  %48 = getelementptr inbounds nuw i8, ptr %6, i64 24
  %49 = load i64, ptr %48, align 8, !tbaa !12
  %50 = icmp eq i64 %49, 0
  br i1 %50, label %53, label %51

51:                                               ; preds = %46
  %52 = tail call ptr @PyEval_SaveThread() #13
  br label %53

53:                                               ; preds = %51, %46
  %54 = phi ptr [ %52, %51 ], [ null, %46 ]
  %55 = getelementptr inbounds nuw i8, ptr %6, i64 16
  %56 = load i64, ptr %55, align 8, !tbaa !12
  %57 = icmp slt i64 %56, 1
  br i1 %57, label %167, label %58

58:                                               ; preds = %53
  %59 = getelementptr ptr, ptr %1, i64 %8
  %60 = ptrtoint ptr %47 to i64
  br label %61

61:                                               ; preds = %58, %160
  %62 = phi ptr [ %7, %58 ], [ %123, %160 ]
  %63 = phi i64 [ 0, %58 ], [ %162, %160 ]
  %64 = phi ptr [ %54, %58 ], [ %122, %160 ]
  %65 = getelementptr inbounds nuw i8, ptr %62, i64 8
  %66 = load i64, ptr %62, align 8, !tbaa !12
  %67 = inttoptr i64 %66 to ptr
  %68 = load i64, ptr %67, align 8, !tbaa !12
  %69 = icmp sgt i64 %68, 0
  br i1 %69, label %70, label %121

70:                                               ; preds = %61, %116
  %71 = phi ptr [ %119, %116 ], [ %65, %61 ]
  %72 = phi i64 [ %118, %116 ], [ 0, %61 ]
  %73 = phi ptr [ %117, %116 ], [ %64, %61 ]
  %74 = load i64, ptr %71, align 8, !tbaa !12
  switch i64 %74, label %110 [
    i64 2, label %75
    i64 3, label %86
  ]

75:                                               ; preds = %70
  %76 = getelementptr inbounds nuw i8, ptr %71, i64 8
  %77 = load i64, ptr %76, align 8, !tbaa !12
  %78 = getelementptr inbounds ptr, ptr %1, i64 %77
  %79 = load ptr, ptr %78, align 8, !tbaa !46
  %80 = getelementptr inbounds nuw i8, ptr %79, i64 16
  %81 = load ptr, ptr %80, align 8, !tbaa !52
  %82 = ptrtoint ptr %81 to i64
  %83 = getelementptr inbounds nuw i8, ptr %71, i64 16
  %84 = load i64, ptr %83, align 8, !tbaa !12
  %85 = add nsw i64 %84, %82
  br label %113

86:                                               ; preds = %70
  %87 = icmp eq ptr %73, null
  br i1 %87, label %89, label %88

88:                                               ; preds = %86
  call void @PyEval_RestoreThread(ptr noundef nonnull %73) #13
  br label %89

89:                                               ; preds = %88, %86
  %90 = getelementptr inbounds nuw i64, ptr %67, i64 %72
  %91 = getelementptr inbounds nuw i8, ptr %90, i64 32
  %92 = load i64, ptr %91, align 8, !tbaa !12
  %93 = getelementptr inbounds nuw i8, ptr %71, i64 8
  %94 = load i64, ptr %93, align 8, !tbaa !12
  %95 = getelementptr ptr, ptr %59, i64 %94
  %96 = load ptr, ptr %95, align 8, !tbaa !46
  %97 = getelementptr inbounds nuw i64, ptr %4, i64 %72
  %98 = call fastcc i32 @word(i64 noundef %92, ptr noundef %96, ptr noundef %97)
  br i1 %87, label %102, label %99

99:                                               ; preds = %89
  %100 = call ptr @PyEval_SaveThread() #13
  %101 = icmp eq i32 %98, 0
  br i1 %101, label %104, label %116

102:                                              ; preds = %89
  %103 = icmp eq i32 %98, 0
  br i1 %103, label %107, label %116

104:                                              ; preds = %99
  %105 = icmp eq ptr %100, null
  br i1 %105, label %107, label %106

106:                                              ; preds = %104
  call void @PyEval_RestoreThread(ptr noundef nonnull %100) #13
  br label %107

107:                                              ; preds = %102, %106, %104
  %108 = icmp eq ptr %47, null
  br i1 %108, label %180, label %109

109:                                              ; preds = %107
  call void @free(ptr noundef nonnull %47)
  br label %180

110:                                              ; preds = %70
  %111 = getelementptr inbounds nuw i8, ptr %71, i64 16
  %112 = load i64, ptr %111, align 8, !tbaa !12
  br label %113

113:                                              ; preds = %75, %110
  %114 = phi i64 [ %112, %110 ], [ %85, %75 ]
  %115 = getelementptr inbounds nuw i64, ptr %4, i64 %72
  store i64 %114, ptr %115, align 8, !tbaa !12
  br label %116

116:                                              ; preds = %113, %102, %99
  %117 = phi ptr [ %100, %99 ], [ null, %102 ], [ %73, %113 ]
  %118 = add nuw nsw i64 %72, 1
  %119 = getelementptr inbounds nuw i8, ptr %71, i64 24
  %120 = icmp eq i64 %118, %68
  br i1 %120, label %121, label %70, !llvm.loop !55

121:                                              ; preds = %116, %61
  %122 = phi ptr [ %64, %61 ], [ %117, %116 ]
  %123 = phi ptr [ %65, %61 ], [ %119, %116 ]
  %124 = getelementptr i64, ptr %4, i64 %68
  %125 = getelementptr i8, ptr %124, i64 8
  store i64 %60, ptr %125, align 8, !tbaa !12
  %126 = load i64, ptr %67, align 8, !tbaa !12
  %127 = getelementptr inbounds nuw i8, ptr %67, i64 8
  %128 = load i64, ptr %127, align 8, !tbaa !12
  %129 = getelementptr inbounds i64, ptr %4, i64 %126
  store i64 0, ptr %129, align 8, !tbaa !12
  %130 = icmp sgt i64 %128, 0
  br i1 %130, label %131, label %159

131:                                              ; preds = %121
  %132 = getelementptr inbounds nuw i8, ptr %67, i64 32
  %133 = getelementptr inbounds i64, ptr %132, i64 %126
  br label %134

134:                                              ; preds = %149, %131
  %135 = phi i64 [ %150, %149 ], [ 0, %131 ]
  %136 = phi ptr [ %151, %149 ], [ %133, %131 ]
  %137 = getelementptr inbounds nuw i8, ptr %136, i64 16
  %138 = load i64, ptr %137, align 8, !tbaa !12
  %139 = icmp eq i64 %138, 1
  %140 = load i64, ptr %136, align 8, !tbaa !12
  %141 = inttoptr i64 %140 to ptr
  %142 = getelementptr inbounds nuw i8, ptr %136, i64 8
  %143 = load i64, ptr %142, align 8, !tbaa !12
  %144 = getelementptr inbounds i64, ptr %67, i64 %143
  br i1 %139, label %145, label %146

145:                                              ; preds = %134
  call void %141(ptr noundef nonnull %4, ptr noundef nonnull %144, i64 noundef 0, i64 noundef 1) #13
  br label %149

146:                                              ; preds = %134
  %147 = getelementptr inbounds nuw i8, ptr %136, i64 24
  %148 = load i64, ptr %147, align 8, !tbaa !12
  call fastcc void @run_units(ptr noundef %141, ptr noundef nonnull %4, ptr noundef nonnull %144, i64 noundef %138, i64 noundef %148)
  br label %149

149:                                              ; preds = %146, %145
  %150 = add nuw nsw i64 %135, 1
  %151 = getelementptr inbounds nuw i8, ptr %136, i64 32
  %152 = icmp eq i64 %150, %128
  br i1 %152, label %153, label %134, !llvm.loop !49

153:                                              ; preds = %149
  %154 = load i64, ptr %129, align 8, !tbaa !12
  %155 = freeze i64 %154
  %156 = icmp eq i64 %155, 0
  %157 = shl nsw i64 %63, 16
  %158 = add nsw i64 %155, %157
  br i1 %156, label %159, label %160

159:                                              ; preds = %121, %153
  br label %160

160:                                              ; preds = %153, %159
  %161 = phi i64 [ %158, %153 ], [ 0, %159 ]
  %162 = add nuw nsw i64 %63, 1
  %163 = load i64, ptr %55, align 8, !tbaa !12
  %164 = icmp sge i64 %162, %163
  %165 = icmp ne i64 %161, 0
  %166 = select i1 %164, i1 true, i1 %165
  br i1 %166, label %167, label %61, !llvm.loop !56

167:                                              ; preds = %160, %53
  %168 = phi ptr [ %54, %53 ], [ %122, %160 ]
  %169 = phi i64 [ 0, %53 ], [ %161, %160 ]
  %170 = icmp eq ptr %168, null
  br i1 %170, label %172, label %171

171:                                              ; preds = %167
  call void @PyEval_RestoreThread(ptr noundef nonnull %168) #13
  br label %172

172:                                              ; preds = %171, %167
  %173 = icmp eq ptr %47, null
  br i1 %173, label %175, label %174

174:                                              ; preds = %172
  call void @free(ptr noundef nonnull %47)
  br label %175

175:                                              ; preds = %174, %172
  %176 = icmp eq i64 %169, 0
  br i1 %176, label %179, label %177

177:                                              ; preds = %175
  %178 = call ptr @PyLong_FromLongLong(i64 noundef %169) #13
  br label %180

179:                                              ; preds = %175
  call void @Py_IncRef(ptr noundef nonnull @_Py_NoneStruct) #13
  br label %180

180:                                              ; preds = %109, %107, %179, %177, %31, %44, %17
  %181 = phi ptr [ null, %17 ], [ null, %31 ], [ @_Py_NoneStruct, %179 ], [ %45, %44 ], [ %178, %177 ], [ null, %107 ], [ null, %109 ]
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #13
  ret ptr %181
}

declare i32 @pthread_create(ptr noundef, ptr noundef, ptr noundef, ptr noundef) local_unnamed_addr #5

; Function Attrs: noreturn nounwind uwtable
define internal noalias noundef nonnull ptr @worker(ptr readnone captures(none) %0) #8 {
  br label %2

2:                                                ; preds = %51, %1
  %3 = phi i32 [ 0, %1 ], [ %7, %51 ]
  %4 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128) acquire, align 64
  %5 = icmp eq i32 %4, %3
  br i1 %5, label %11, label %6

6:                                                ; preds = %20, %2
  %7 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128) acquire, align 64
  %8 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 1 seq_cst, align 64
  %9 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256) seq_cst, align 64
  %10 = icmp eq i32 %9, 0
  br i1 %10, label %42, label %24

11:                                               ; preds = %2, %20
  %12 = phi i32 [ %21, %20 ], [ 0, %2 ]
  %13 = add nsw i32 %12, 1
  %14 = icmp sgt i32 %12, 99999
  br i1 %14, label %15, label %20

15:                                               ; preds = %11
  %16 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192), i32 1 seq_cst, align 64
  %17 = load i64, ptr @futex_call, align 8, !tbaa !14
  %18 = tail call i64 (i64, ...) @syscall(i64 noundef %17, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 noundef 128, i32 noundef %3, i32 noundef 0, i32 noundef 0, i32 noundef 0) #13
  %19 = atomicrmw sub ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192), i32 1 seq_cst, align 64
  br label %20

20:                                               ; preds = %15, %11
  %21 = phi i32 [ 0, %15 ], [ %13, %11 ]
  %22 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128) acquire, align 64
  %23 = icmp eq i32 %22, %3
  br i1 %23, label %11, label %6, !llvm.loop !57

24:                                               ; preds = %6
  %25 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !39
  %26 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %25 monotonic, align 64
  %27 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !38
  %28 = icmp slt i64 %26, %27
  br i1 %28, label %29, label %42

29:                                               ; preds = %24, %29
  %30 = phi i64 [ %40, %29 ], [ %27, %24 ]
  %31 = phi i64 [ %39, %29 ], [ %26, %24 ]
  %32 = phi i64 [ %38, %29 ], [ %25, %24 ]
  %33 = add nsw i64 %32, %31
  %34 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !35
  %35 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !36
  %36 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !37
  %37 = tail call i64 @llvm.smin.i64(i64 %33, i64 %30)
  tail call void %34(ptr noundef %35, ptr noundef %36, i64 noundef %31, i64 noundef %37) #13
  %38 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !39
  %39 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %38 monotonic, align 64
  %40 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !38
  %41 = icmp slt i64 %39, %40
  br i1 %41, label %29, label %42

42:                                               ; preds = %29, %24, %6
  %43 = atomicrmw sub ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 1 seq_cst, align 64
  %44 = icmp eq i32 %43, 1
  br i1 %44, label %45, label %51

45:                                               ; preds = %42
  %46 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384) seq_cst, align 64
  %47 = icmp eq i32 %46, 0
  br i1 %47, label %51, label %48

48:                                               ; preds = %45
  %49 = load i64, ptr @futex_call, align 8, !tbaa !14
  %50 = tail call i64 (i64, ...) @syscall(i64 noundef %49, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 noundef 129, i32 noundef 2147483647, i32 noundef 0, i32 noundef 0, i32 noundef 0) #13
  br label %51

51:                                               ; preds = %48, %45, %42
  br label %2
}

declare i32 @pthread_detach(i64 noundef) local_unnamed_addr #5

declare i64 @syscall(i64 noundef, ...) local_unnamed_addr #5

; Function Attrs: mustprogress nocallback nofree nounwind willreturn memory(argmem: write)
declare void @llvm.memset.p0.i64(ptr writeonly captures(none), i8, i64, i1 immarg) #9

; Function Attrs: mustprogress nocallback nofree nounwind willreturn memory(argmem: readwrite)
declare void @llvm.memcpy.p0.p0.i64(ptr noalias writeonly captures(none), ptr noalias readonly captures(none), i64, i1 immarg) #10

declare double @PyFloat_AsDouble(ptr noundef) local_unnamed_addr #5

declare ptr @PyErr_Occurred() local_unnamed_addr #5

declare i64 @PyLong_AsLongLongAndOverflow(ptr noundef, ptr noundef) local_unnamed_addr #5

declare i64 @PyLong_AsUnsignedLongLong(ptr noundef) local_unnamed_addr #5

declare i32 @PyObject_IsTrue(ptr noundef) local_unnamed_addr #5

declare ptr @PyLong_FromLongLong(i64 noundef) local_unnamed_addr #5

declare void @Py_IncRef(ptr noundef) local_unnamed_addr #5

declare i32 @PyType_IsSubtype(ptr noundef, ptr noundef) local_unnamed_addr #5

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.smin.i64(i64, i64) #11

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.smax.i64(i64, i64) #11

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write)
declare void @llvm.assume(i1 noundef) #12

attributes #0 = { mustprogress nofree norecurse nosync nounwind willreturn memory(write, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #1 = { mustprogress nofree norecurse nosync nounwind willreturn memory(readwrite, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #2 = { nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #3 = { mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite) }
attributes #4 = { nofree norecurse nosync nounwind memory(readwrite, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #5 = { "no-trapping-math"="true" }
attributes #6 = { mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" }
attributes #7 = { mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" }
attributes #8 = { noreturn nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #9 = { mustprogress nocallback nofree nounwind willreturn memory(argmem: write) }
attributes #10 = { mustprogress nocallback nofree nounwind willreturn memory(argmem: readwrite) }
attributes #11 = { nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }
attributes #12 = { nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write) }
attributes #13 = { nounwind }
attributes #14 = { allocsize(0) }

!llvm.module.flags = !{!0, !1, !2, !3, !4}
!llvm.ident = !{!5}
!llvm.errno.tbaa = !{!6}

!0 = !{i32 7, !"Dwarf Version", i32 4}
!1 = !{i32 1, !"wchar_size", i32 4}
!2 = !{i32 8, !"PIC Level", i32 2}
!3 = !{i32 7, !"uwtable", i32 2}
!4 = !{i32 7, !"frame-pointer", i32 2}
!5 = !{!"clang version 22.1.8"}
!6 = !{!7, !7, i64 0}
!7 = !{!"int", !8, i64 0}
!8 = !{!"omnipotent char", !9, i64 0}
!9 = !{!"Simple C/C++ TBAA"}
!10 = !{!11, !11, i64 0}
!11 = !{!"any pointer", !8, i64 0}
!12 = !{!13, !13, i64 0}
!13 = !{!"long long", !8, i64 0}
!14 = !{!15, !15, i64 0}
!15 = !{!"long", !8, i64 0}
!16 = !{!17, !11, i64 0}
!17 = !{!"", !11, i64 0, !11, i64 8, !11, i64 16, !8, i64 24, !7, i64 8216}
!18 = !{!17, !11, i64 8}
!19 = !{!17, !11, i64 16}
!20 = !{!17, !7, i64 8216}
!21 = !{!22, !7, i64 0}
!22 = !{!"", !7, i64 0, !7, i64 4, !7, i64 64, !7, i64 128, !7, i64 192, !7, i64 256, !7, i64 320, !7, i64 384, !13, i64 448, !11, i64 512, !23, i64 520, !23, i64 528, !13, i64 536, !13, i64 544}
!23 = !{!"p1 long long", !11, i64 0}
!24 = !{!22, !7, i64 4}
!25 = !{!22, !7, i64 384}
!26 = !{!22, !7, i64 192}
!27 = !{!22, !7, i64 320}
!28 = !{!22, !7, i64 256}
!29 = !{!22, !7, i64 64}
!30 = distinct !{!30, !31}
!31 = !{!"llvm.loop.mustprogress"}
!32 = distinct !{!32, !31}
!33 = distinct !{!33, !31}
!34 = distinct !{!34, !31}
!35 = !{!22, !11, i64 512}
!36 = !{!22, !23, i64 520}
!37 = !{!22, !23, i64 528}
!38 = !{!22, !13, i64 536}
!39 = !{!22, !13, i64 544}
!40 = distinct !{!40, !31}
!41 = distinct !{!41, !31}
!42 = distinct !{!42, !31}
!43 = distinct !{!43, !31}
!44 = distinct !{!44, !31}
!45 = distinct !{!45, !31}
!46 = !{!47, !47, i64 0}
!47 = !{!"p1 _ZTS6object", !11, i64 0}
!48 = distinct !{!48, !31}
!49 = distinct !{!49, !31}
!50 = !{!51, !11, i64 8}
!51 = !{!"object", !13, i64 0, !11, i64 8}
!52 = !{!53, !11, i64 16}
!53 = !{!"", !51, i64 0, !11, i64 16}
!54 = distinct !{!54, !31}
!55 = distinct !{!55, !31}
!56 = distinct !{!56, !31}
!57 = distinct !{!57, !31}
