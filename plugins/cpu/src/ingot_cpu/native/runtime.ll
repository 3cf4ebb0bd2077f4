; Made from runtime.c by make_runtime.py; sha256 407e75bce218d76661d855076c8e382d373afc2751e84be727582a4c9749e772
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
  %54 = tail call i32 %45(i32 noundef 1) #9
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
  tail call void %82(i32 noundef 101, i32 noundef %32, i32 noundef %36, i64 noundef %83, i64 noundef %84, i64 noundef %85, double noundef 1.000000e+00, ptr noundef %72, i64 noundef %86, ptr noundef %75, i64 noundef %87, double noundef 0.000000e+00, ptr noundef %78, i64 noundef %88) #9
  br label %91

90:                                               ; preds = %68
  tail call void %82(i32 noundef 101, i32 noundef %32, i32 noundef %36, i64 noundef %83, i64 noundef %84, i64 noundef %85, float noundef 1.000000e+00, ptr noundef %72, i64 noundef %86, ptr noundef %75, i64 noundef %87, float noundef 0.000000e+00, ptr noundef %78, i64 noundef %88) #9
  br label %91

91:                                               ; preds = %90, %89
  %92 = add i64 %69, 1
  %93 = icmp eq i64 %92, %3
  br i1 %93, label %66, label %68, !llvm.loop !30

94:                                               ; preds = %66
  %95 = load ptr, ptr @blas_threads, align 8, !tbaa !10
  %96 = tail call i32 %95(i32 noundef %56) #9
  br label %97

97:                                               ; preds = %94, %66
  ret void
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.start.p0(ptr captures(none)) #3

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.end.p0(ptr captures(none)) #3

; Function Attrs: nounwind uwtable
define ptr @ingot_call(ptr noundef %0, ptr noundef readonly captures(none) %1, i64 noundef %2) local_unnamed_addr #2 {
  %4 = alloca [130 x i64], align 16
  %5 = load i64, ptr @bytes_payload, align 8, !tbaa !12
  %6 = getelementptr inbounds i8, ptr %0, i64 %5
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #9
  %7 = load i64, ptr %6, align 8, !tbaa !12
  %8 = icmp slt i64 %2, %7
  br i1 %8, label %11, label %9

9:                                                ; preds = %3
  %10 = icmp sgt i64 %7, 0
  br i1 %10, label %16, label %26

11:                                               ; preds = %3
  %12 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !32
  tail call void @PyErr_SetString(ptr noundef %12, ptr noundef nonnull @.str) #9
  br label %59

13:                                               ; preds = %16
  %14 = add nuw nsw i64 %17, 1
  %15 = icmp eq i64 %14, %7
  br i1 %15, label %26, label %16, !llvm.loop !34

16:                                               ; preds = %9, %13
  %17 = phi i64 [ %14, %13 ], [ 0, %9 ]
  %18 = getelementptr inbounds nuw i64, ptr %6, i64 %17
  %19 = getelementptr inbounds nuw i8, ptr %18, i64 32
  %20 = load i64, ptr %19, align 8, !tbaa !12
  %21 = getelementptr inbounds nuw ptr, ptr %1, i64 %17
  %22 = load ptr, ptr %21, align 8, !tbaa !32
  %23 = getelementptr inbounds nuw i64, ptr %4, i64 %17
  %24 = call fastcc i32 @word(i64 noundef %20, ptr noundef %22, ptr noundef %23)
  %25 = icmp eq i32 %24, 0
  br i1 %25, label %59, label %13

26:                                               ; preds = %13, %9
  %27 = getelementptr inbounds nuw i8, ptr %6, i64 24
  %28 = load i64, ptr %27, align 8, !tbaa !12
  %29 = icmp eq i64 %28, 0
  br i1 %29, label %35, label %30

30:                                               ; preds = %26
  %31 = tail call ptr @malloc(i64 noundef %28) #10
  %32 = icmp eq ptr %31, null
  br i1 %32, label %33, label %35

33:                                               ; preds = %30
  %34 = tail call ptr @PyErr_NoMemory() #9
  br label %59

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
  %44 = tail call ptr @PyEval_SaveThread() #9
  br label %45

45:                                               ; preds = %43, %35
  %46 = phi ptr [ %44, %43 ], [ null, %35 ]
  %47 = call fastcc i64 @run_kernel(ptr noundef nonnull %6, ptr noundef %4)
  %48 = load i64, ptr %40, align 8, !tbaa !12
  %49 = icmp eq i64 %48, 0
  br i1 %49, label %51, label %50

50:                                               ; preds = %45
  call void @PyEval_RestoreThread(ptr noundef %46) #9
  br label %51

51:                                               ; preds = %50, %45
  %52 = icmp eq ptr %36, null
  br i1 %52, label %54, label %53

53:                                               ; preds = %51
  call void @free(ptr noundef nonnull %36)
  br label %54

54:                                               ; preds = %53, %51
  %55 = icmp eq i64 %47, 0
  br i1 %55, label %58, label %56

56:                                               ; preds = %54
  %57 = call ptr @PyLong_FromLongLong(i64 noundef %47) #9
  br label %59

58:                                               ; preds = %54
  call void @Py_IncRef(ptr noundef nonnull @_Py_NoneStruct) #9
  br label %59

59:                                               ; preds = %16, %58, %56, %33, %11
  %60 = phi ptr [ null, %11 ], [ @_Py_NoneStruct, %58 ], [ %34, %33 ], [ %57, %56 ], [ null, %16 ]
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #9
  ret ptr %60
}

declare void @PyErr_SetString(ptr noundef, ptr noundef) local_unnamed_addr #4

; Function Attrs: nounwind uwtable
define internal fastcc range(i32 0, 2) i32 @word(i64 noundef %0, ptr noundef %1, ptr noundef nonnull captures(none) %2) unnamed_addr #2 {
  %4 = alloca i32, align 4
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #9
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
  %8 = load ptr, ptr %7, align 8, !tbaa !35
  %9 = load ptr, ptr @array_type, align 8, !tbaa !10
  %10 = icmp eq ptr %8, %9
  br i1 %10, label %16, label %11

11:                                               ; preds = %6
  %12 = tail call i32 @PyType_IsSubtype(ptr noundef %8, ptr noundef %9) #9
  %13 = icmp eq i32 %12, 0
  br i1 %13, label %14, label %16

14:                                               ; preds = %11
  %15 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !32
  tail call void @PyErr_SetString(ptr noundef %15, ptr noundef nonnull @.str.3) #9
  br label %50

16:                                               ; preds = %6, %11
  %17 = getelementptr inbounds nuw i8, ptr %1, i64 16
  %18 = load ptr, ptr %17, align 8, !tbaa !37
  %19 = ptrtoint ptr %18 to i64
  store i64 %19, ptr %2, align 8, !tbaa !12
  br label %50

20:                                               ; preds = %3
  %21 = tail call double @PyFloat_AsDouble(ptr noundef %1) #9
  store double %21, ptr %2, align 8, !tbaa !12
  %22 = fcmp oeq double %21, -1.000000e+00
  br i1 %22, label %23, label %50

23:                                               ; preds = %20
  %24 = tail call ptr @PyErr_Occurred() #9
  %25 = icmp eq ptr %24, null
  br label %50

26:                                               ; preds = %3
  %27 = call i64 @PyLong_AsLongLongAndOverflow(ptr noundef %1, ptr noundef nonnull %4) #9
  store i64 %27, ptr %2, align 8, !tbaa !12
  %28 = load i32, ptr %4, align 4, !tbaa !6
  %29 = icmp sgt i32 %28, 0
  br i1 %29, label %30, label %33

30:                                               ; preds = %26
  %31 = call i64 @PyLong_AsUnsignedLongLong(ptr noundef %1) #9
  store i64 %31, ptr %2, align 8, !tbaa !12
  %32 = load i32, ptr %4, align 4, !tbaa !6
  br label %33

33:                                               ; preds = %30, %26
  %34 = phi i64 [ %31, %30 ], [ %27, %26 ]
  %35 = phi i32 [ %32, %30 ], [ %28, %26 ]
  %36 = icmp slt i32 %35, 0
  br i1 %36, label %37, label %40

37:                                               ; preds = %33
  %38 = load ptr, ptr @PyExc_OverflowError, align 8, !tbaa !32
  call void @PyErr_SetString(ptr noundef %38, ptr noundef nonnull @.str.4) #9
  %39 = load i64, ptr %2, align 8, !tbaa !12
  br label %40

40:                                               ; preds = %37, %33
  %41 = phi i64 [ %39, %37 ], [ %34, %33 ]
  %42 = icmp eq i64 %41, -1
  br i1 %42, label %43, label %50

43:                                               ; preds = %40
  %44 = call ptr @PyErr_Occurred() #9
  %45 = icmp eq ptr %44, null
  br label %50

46:                                               ; preds = %3
  %47 = tail call i32 @PyObject_IsTrue(ptr noundef %1) #9
  %48 = sext i32 %47 to i64
  store i64 %48, ptr %2, align 8, !tbaa !12
  %49 = icmp sgt i32 %47, -1
  br label %50

50:                                               ; preds = %40, %43, %20, %23, %46, %16, %14, %5
  %51 = phi i1 [ %49, %46 ], [ true, %5 ], [ true, %16 ], [ false, %14 ], [ %25, %23 ], [ true, %20 ], [ true, %40 ], [ %45, %43 ]
  %52 = zext i1 %51 to i32
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #9
  ret i32 %52
}

; Function Attrs: mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite)
declare noalias noundef ptr @malloc(i64 noundef) local_unnamed_addr #5

declare ptr @PyErr_NoMemory() local_unnamed_addr #4

declare ptr @PyEval_SaveThread() local_unnamed_addr #4

; Function Attrs: nounwind uwtable
define internal fastcc i64 @run_kernel(ptr noundef %0, ptr noundef nonnull %1) unnamed_addr #2 {
  %3 = alloca [64 x i64], align 16
  %4 = load i64, ptr %0, align 8, !tbaa !12
  %5 = getelementptr inbounds nuw i8, ptr %0, i64 8
  %6 = load i64, ptr %5, align 8, !tbaa !12
  %7 = getelementptr inbounds i64, ptr %1, i64 %4
  store i64 0, ptr %7, align 8, !tbaa !12
  %8 = icmp sgt i64 %6, 0
  br i1 %8, label %9, label %14

9:                                                ; preds = %2
  %10 = getelementptr inbounds nuw i8, ptr %0, i64 32
  %11 = getelementptr inbounds i64, ptr %10, i64 %4
  br label %16

12:                                               ; preds = %183
  %13 = load i64, ptr %7, align 8, !tbaa !12
  br label %14

14:                                               ; preds = %12, %2
  %15 = phi i64 [ %13, %12 ], [ 0, %2 ]
  ret i64 %15

16:                                               ; preds = %9, %183
  %17 = phi i64 [ %184, %183 ], [ 0, %9 ]
  %18 = phi ptr [ %185, %183 ], [ %11, %9 ]
  %19 = getelementptr inbounds nuw i8, ptr %18, i64 16
  %20 = load i64, ptr %19, align 8, !tbaa !12
  %21 = icmp eq i64 %20, 1
  %22 = load i64, ptr %18, align 8, !tbaa !12
  %23 = inttoptr i64 %22 to ptr
  %24 = getelementptr inbounds nuw i8, ptr %18, i64 8
  %25 = load i64, ptr %24, align 8, !tbaa !12
  %26 = getelementptr inbounds i64, ptr %0, i64 %25
  br i1 %21, label %27, label %28

27:                                               ; preds = %16
  call void %23(ptr noundef nonnull %1, ptr noundef nonnull %26, i64 noundef 0, i64 noundef 1) #9
  br label %183

28:                                               ; preds = %16
  %29 = getelementptr inbounds nuw i8, ptr %18, i64 24
  %30 = load i64, ptr %29, align 8, !tbaa !12
  %31 = load i32, ptr @pool, align 64, !tbaa !21
  %32 = icmp ne i32 %31, 0
  %33 = icmp ne i64 %30, 0
  %34 = and i1 %33, %32
  %35 = icmp sgt i64 %20, %30
  %36 = and i1 %35, %34
  br i1 %36, label %37, label %40

37:                                               ; preds = %28
  %38 = cmpxchg ptr getelementptr inbounds nuw (i8, ptr @pool, i64 64), i32 0, i32 1 acquire monotonic, align 64
  %39 = extractvalue { i32, i1 } %38, 1
  br i1 %39, label %41, label %40

40:                                               ; preds = %37, %28
  call void %23(ptr noundef nonnull %1, ptr noundef nonnull %26, i64 noundef 0, i64 noundef range(i64 2, 1) %20) #9
  br label %183

41:                                               ; preds = %37
  %42 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %43 = icmp eq i32 %42, 0
  br i1 %43, label %44, label %68

44:                                               ; preds = %41
  %45 = load i32, ptr @pool, align 64, !tbaa !21
  %46 = icmp sgt i32 %45, 1024
  br i1 %46, label %47, label %48

47:                                               ; preds = %44
  store i32 1024, ptr @pool, align 64, !tbaa !21
  br label %50

48:                                               ; preds = %44
  %49 = icmp sgt i32 %45, 0
  br i1 %49, label %50, label %68

50:                                               ; preds = %48, %47
  br label %51

51:                                               ; preds = %50, %59
  %52 = phi i32 [ %65, %59 ], [ 0, %50 ]
  %53 = sext i32 %52 to i64
  %54 = getelementptr inbounds i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %53
  %55 = call i32 @pthread_create(ptr noundef nonnull %54, ptr noundef null, ptr noundef nonnull @worker, ptr noundef null) #9
  %56 = icmp eq i32 %55, 0
  %57 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  br i1 %56, label %59, label %58

58:                                               ; preds = %51
  store i32 %57, ptr @pool, align 64, !tbaa !21
  br label %68

59:                                               ; preds = %51
  %60 = add nsw i32 %57, 1
  store i32 %60, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %61 = sext i32 %57 to i64
  %62 = getelementptr inbounds i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %61
  %63 = load i64, ptr %62, align 8, !tbaa !14
  %64 = call i32 @pthread_detach(i64 noundef %63) #9
  %65 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4, !tbaa !24
  %66 = load i32, ptr @pool, align 64, !tbaa !21
  %67 = icmp slt i32 %65, %66
  br i1 %67, label %51, label %68, !llvm.loop !39

68:                                               ; preds = %59, %58, %48, %41
  %69 = load ptr, ptr @places, align 8, !tbaa !16
  %70 = icmp eq ptr %69, null
  br i1 %70, label %143, label %71

71:                                               ; preds = %68
  %72 = call i32 %69() #9
  %73 = icmp ugt i32 %72, 4095
  %74 = load i32, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8216), align 8
  %75 = icmp eq i32 %72, %74
  %76 = select i1 %73, i1 true, i1 %75
  br i1 %76, label %143, label %77

77:                                               ; preds = %71
  store i32 %72, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8216), align 8, !tbaa !20
  call void @llvm.lifetime.start.p0(ptr nonnull %3) #9
  %78 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @places, i64 8), align 8, !tbaa !18
  %79 = call i32 %78(i32 noundef 0, i64 noundef 512, ptr noundef nonnull %3) #9
  %80 = icmp eq i32 %79, 0
  br i1 %80, label %81, label %142

81:                                               ; preds = %77
  %82 = and i32 %72, 63
  %83 = zext nneg i32 %82 to i64
  %84 = shl nuw i64 1, %83
  %85 = xor i64 %84, -1
  %86 = lshr i32 %72, 6
  %87 = zext nneg i32 %86 to i64
  %88 = getelementptr inbounds nuw i64, ptr %3, i64 %87
  %89 = load i64, ptr %88, align 8, !tbaa !14
  %90 = and i64 %89, %85
  store i64 %90, ptr %88, align 8, !tbaa !14
  br label %96

91:                                               ; preds = %96
  %92 = icmp ne i64 %129, 0
  %93 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4
  %94 = icmp sgt i32 %93, 0
  %95 = select i1 %92, i1 %94, i1 false
  br i1 %95, label %132, label %142

96:                                               ; preds = %96, %81
  %97 = phi i64 [ 0, %81 ], [ %130, %96 ]
  %98 = phi i64 [ 0, %81 ], [ %129, %96 ]
  %99 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %100 = load i64, ptr %99, align 16, !tbaa !14
  %101 = or i64 %100, %98
  %102 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %103 = getelementptr inbounds nuw i8, ptr %102, i64 8
  %104 = load i64, ptr %103, align 8, !tbaa !14
  %105 = or i64 %104, %101
  %106 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %107 = getelementptr inbounds nuw i8, ptr %106, i64 16
  %108 = load i64, ptr %107, align 16, !tbaa !14
  %109 = or i64 %108, %105
  %110 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %111 = getelementptr inbounds nuw i8, ptr %110, i64 24
  %112 = load i64, ptr %111, align 8, !tbaa !14
  %113 = or i64 %112, %109
  %114 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %115 = getelementptr inbounds nuw i8, ptr %114, i64 32
  %116 = load i64, ptr %115, align 16, !tbaa !14
  %117 = or i64 %116, %113
  %118 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %119 = getelementptr inbounds nuw i8, ptr %118, i64 40
  %120 = load i64, ptr %119, align 8, !tbaa !14
  %121 = or i64 %120, %117
  %122 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %123 = getelementptr inbounds nuw i8, ptr %122, i64 48
  %124 = load i64, ptr %123, align 16, !tbaa !14
  %125 = or i64 %124, %121
  %126 = getelementptr inbounds nuw i64, ptr %3, i64 %97
  %127 = getelementptr inbounds nuw i8, ptr %126, i64 56
  %128 = load i64, ptr %127, align 8, !tbaa !14
  %129 = or i64 %128, %125
  %130 = add nuw nsw i64 %97, 8
  %131 = icmp eq i64 %130, 64
  br i1 %131, label %91, label %96, !llvm.loop !40

132:                                              ; preds = %91, %132
  %133 = phi i64 [ %138, %132 ], [ 0, %91 ]
  %134 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @places, i64 16), align 8, !tbaa !19
  %135 = getelementptr inbounds nuw i64, ptr getelementptr inbounds nuw (i8, ptr @places, i64 24), i64 %133
  %136 = load i64, ptr %135, align 8, !tbaa !14
  %137 = call i32 %134(i64 noundef %136, i64 noundef 512, ptr noundef nonnull %3) #9
  %138 = add nuw nsw i64 %133, 1
  %139 = load i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 4), align 4
  %140 = sext i32 %139 to i64
  %141 = icmp slt i64 %138, %140
  br i1 %141, label %132, label %142, !llvm.loop !41

142:                                              ; preds = %132, %91, %77
  call void @llvm.lifetime.end.p0(ptr nonnull %3) #9
  br label %143

143:                                              ; preds = %142, %71, %68
  store ptr %23, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !42
  store ptr %1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !43
  store ptr %26, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !44
  store i64 %20, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !45
  store i64 %30, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !46
  store atomic i64 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448) monotonic, align 64
  store atomic i32 1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256) seq_cst, align 64
  %144 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 1 seq_cst, align 64
  %145 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192) seq_cst, align 64
  %146 = icmp eq i32 %145, 0
  br i1 %146, label %150, label %147

147:                                              ; preds = %143
  %148 = load i64, ptr @futex_call, align 8, !tbaa !14
  %149 = call i64 (i64, ...) @syscall(i64 noundef %148, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 noundef 129, i32 noundef 2147483647, i32 noundef 0, i32 noundef 0, i32 noundef 0) #9
  br label %150

150:                                              ; preds = %147, %143
  %151 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !46
  %152 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %151 monotonic, align 64
  %153 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !45
  %154 = icmp slt i64 %152, %153
  br i1 %154, label %155, label %168

155:                                              ; preds = %150, %155
  %156 = phi i64 [ %166, %155 ], [ %153, %150 ]
  %157 = phi i64 [ %165, %155 ], [ %152, %150 ]
  %158 = phi i64 [ %164, %155 ], [ %151, %150 ]
  %159 = add nsw i64 %158, %157
  %160 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !42
  %161 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !43
  %162 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !44
  %163 = call i64 @llvm.smin.i64(i64 %159, i64 %156)
  call void %160(ptr noundef %161, ptr noundef %162, i64 noundef %157, i64 noundef %163) #9
  %164 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !46
  %165 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %164 monotonic, align 64
  %166 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !45
  %167 = icmp slt i64 %165, %166
  br i1 %167, label %155, label %168

168:                                              ; preds = %155, %150
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 256) seq_cst, align 64
  %169 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320) seq_cst, align 64
  %170 = icmp eq i32 %169, 0
  br i1 %170, label %182, label %171

171:                                              ; preds = %168, %178
  %172 = phi i32 [ %180, %178 ], [ %169, %168 ]
  %173 = phi i32 [ %179, %178 ], [ 0, %168 ]
  %174 = icmp samesign ult i32 %173, 100000
  br i1 %174, label %178, label %175

175:                                              ; preds = %171
  store atomic i32 1, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384) seq_cst, align 64
  %176 = load i64, ptr @futex_call, align 8, !tbaa !14
  %177 = call i64 (i64, ...) @syscall(i64 noundef %176, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 noundef 128, i32 noundef %172, i32 noundef 0, i32 noundef 0, i32 noundef 0) #9
  br label %178

178:                                              ; preds = %175, %171
  %179 = add nuw nsw i32 %173, 1
  %180 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 320) seq_cst, align 64
  %181 = icmp eq i32 %180, 0
  br i1 %181, label %182, label %171

182:                                              ; preds = %178, %168
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 384) monotonic, align 64
  store atomic i32 0, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 64) release, align 64
  br label %183

183:                                              ; preds = %182, %40, %27
  %184 = add nuw nsw i64 %17, 1
  %185 = getelementptr inbounds nuw i8, ptr %18, i64 32
  %186 = icmp eq i64 %184, %6
  br i1 %186, label %12, label %16, !llvm.loop !47
}

declare void @PyEval_RestoreThread(ptr noundef) local_unnamed_addr #4

; Function Attrs: mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite)
declare void @free(ptr allocptr noundef captures(none)) local_unnamed_addr #6

; Function Attrs: nounwind uwtable
define ptr @ingot_replay(ptr noundef readonly captures(none) %0, ptr noundef readonly captures(none) %1, i64 noundef %2) local_unnamed_addr #2 {
  %4 = alloca [130 x i64], align 16
  %5 = load i64, ptr @bytes_payload, align 8, !tbaa !12
  %6 = getelementptr inbounds i8, ptr %0, i64 %5
  %7 = getelementptr inbounds nuw i8, ptr %6, i64 40
  %8 = load i64, ptr %6, align 8, !tbaa !12
  call void @llvm.lifetime.start.p0(ptr nonnull %4) #9
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
  %18 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !32
  tail call void @PyErr_SetString(ptr noundef %18, ptr noundef nonnull @.str.1) #9
  br label %149

19:                                               ; preds = %15, %33
  %20 = phi ptr [ %34, %33 ], [ %16, %15 ]
  %21 = phi i64 [ %35, %33 ], [ 0, %15 ]
  %22 = getelementptr inbounds nuw ptr, ptr %1, i64 %21
  %23 = load ptr, ptr %22, align 8, !tbaa !32
  %24 = getelementptr inbounds nuw i8, ptr %23, i64 8
  %25 = load ptr, ptr %24, align 8, !tbaa !35
  %26 = icmp eq ptr %25, %20
  br i1 %26, label %33, label %27

27:                                               ; preds = %19
  %28 = tail call i32 @PyType_IsSubtype(ptr noundef %25, ptr noundef %20) #9
  %29 = icmp eq i32 %28, 0
  %30 = load ptr, ptr @array_type, align 8, !tbaa !10
  br i1 %29, label %31, label %33

31:                                               ; preds = %27
  %32 = load ptr, ptr @PyExc_TypeError, align 8, !tbaa !32
  tail call void @PyErr_SetString(ptr noundef %32, ptr noundef nonnull @.str.2) #9
  br label %149

33:                                               ; preds = %19, %27
  %34 = phi ptr [ %20, %19 ], [ %30, %27 ]
  %35 = add nuw nsw i64 %21, 1
  %36 = icmp eq i64 %35, %8
  br i1 %36, label %37, label %19, !llvm.loop !48

37:                                               ; preds = %33, %13
  %38 = getelementptr inbounds nuw i8, ptr %6, i64 32
  %39 = load i64, ptr %38, align 8, !tbaa !12
  %40 = icmp eq i64 %39, 0
  br i1 %40, label %46, label %41

41:                                               ; preds = %37
  %42 = tail call ptr @malloc(i64 noundef %39) #10
  %43 = icmp eq ptr %42, null
  br i1 %43, label %44, label %46

44:                                               ; preds = %41
  %45 = tail call ptr @PyErr_NoMemory() #9
  br label %149

46:                                               ; preds = %41, %37
  %47 = phi ptr [ %42, %41 ], [ null, %37 ]
  %48 = getelementptr inbounds nuw i8, ptr %6, i64 24
  %49 = load i64, ptr %48, align 8, !tbaa !12
  %50 = icmp eq i64 %49, 0
  br i1 %50, label %53, label %51

51:                                               ; preds = %46
  %52 = tail call ptr @PyEval_SaveThread() #9
  br label %53

53:                                               ; preds = %51, %46
  %54 = phi ptr [ %52, %51 ], [ null, %46 ]
  %55 = getelementptr inbounds nuw i8, ptr %6, i64 16
  %56 = load i64, ptr %55, align 8, !tbaa !12
  %57 = icmp slt i64 %56, 1
  br i1 %57, label %136, label %58

58:                                               ; preds = %53
  %59 = getelementptr ptr, ptr %1, i64 %8
  %60 = ptrtoint ptr %47 to i64
  br label %61

61:                                               ; preds = %58, %121
  %62 = phi ptr [ %7, %58 ], [ %123, %121 ]
  %63 = phi i64 [ 0, %58 ], [ %131, %121 ]
  %64 = phi ptr [ %54, %58 ], [ %122, %121 ]
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
  %79 = load ptr, ptr %78, align 8, !tbaa !32
  %80 = getelementptr inbounds nuw i8, ptr %79, i64 16
  %81 = load ptr, ptr %80, align 8, !tbaa !37
  %82 = ptrtoint ptr %81 to i64
  %83 = getelementptr inbounds nuw i8, ptr %71, i64 16
  %84 = load i64, ptr %83, align 8, !tbaa !12
  %85 = add nsw i64 %84, %82
  br label %113

86:                                               ; preds = %70
  %87 = icmp eq ptr %73, null
  br i1 %87, label %89, label %88

88:                                               ; preds = %86
  call void @PyEval_RestoreThread(ptr noundef nonnull %73) #9
  br label %89

89:                                               ; preds = %88, %86
  %90 = getelementptr inbounds nuw i64, ptr %67, i64 %72
  %91 = getelementptr inbounds nuw i8, ptr %90, i64 32
  %92 = load i64, ptr %91, align 8, !tbaa !12
  %93 = getelementptr inbounds nuw i8, ptr %71, i64 8
  %94 = load i64, ptr %93, align 8, !tbaa !12
  %95 = getelementptr ptr, ptr %59, i64 %94
  %96 = load ptr, ptr %95, align 8, !tbaa !32
  %97 = getelementptr inbounds nuw i64, ptr %4, i64 %72
  %98 = call fastcc i32 @word(i64 noundef %92, ptr noundef %96, ptr noundef %97)
  br i1 %87, label %102, label %99

99:                                               ; preds = %89
  %100 = call ptr @PyEval_SaveThread() #9
  %101 = icmp eq i32 %98, 0
  br i1 %101, label %104, label %116

102:                                              ; preds = %89
  %103 = icmp eq i32 %98, 0
  br i1 %103, label %107, label %116

104:                                              ; preds = %99
  %105 = icmp eq ptr %100, null
  br i1 %105, label %107, label %106

106:                                              ; preds = %104
  call void @PyEval_RestoreThread(ptr noundef nonnull %100) #9
  br label %107

107:                                              ; preds = %102, %106, %104
  %108 = icmp eq ptr %47, null
  br i1 %108, label %149, label %109

109:                                              ; preds = %107
  call void @free(ptr noundef nonnull %47)
  br label %149

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
  br i1 %120, label %121, label %70, !llvm.loop !49

121:                                              ; preds = %116, %61
  %122 = phi ptr [ %64, %61 ], [ %117, %116 ]
  %123 = phi ptr [ %65, %61 ], [ %119, %116 ]
  %124 = getelementptr i64, ptr %4, i64 %68
  %125 = getelementptr i8, ptr %124, i64 8
  store i64 %60, ptr %125, align 8, !tbaa !12
  %126 = call fastcc i64 @run_kernel(ptr noundef nonnull %67, ptr noundef %4)
  %127 = icmp eq i64 %126, 0
  %128 = shl nsw i64 %63, 16
  %129 = add nsw i64 %126, %128
  %130 = select i1 %127, i64 0, i64 %129
  %131 = add nuw nsw i64 %63, 1
  %132 = load i64, ptr %55, align 8, !tbaa !12
  %133 = icmp sge i64 %131, %132
  %134 = icmp ne i64 %130, 0
  %135 = select i1 %133, i1 true, i1 %134
  br i1 %135, label %136, label %61, !llvm.loop !50

136:                                              ; preds = %121, %53
  %137 = phi ptr [ %54, %53 ], [ %122, %121 ]
  %138 = phi i64 [ 0, %53 ], [ %130, %121 ]
  %139 = icmp eq ptr %137, null
  br i1 %139, label %141, label %140

140:                                              ; preds = %136
  call void @PyEval_RestoreThread(ptr noundef nonnull %137) #9
  br label %141

141:                                              ; preds = %140, %136
  %142 = icmp eq ptr %47, null
  br i1 %142, label %144, label %143

143:                                              ; preds = %141
  call void @free(ptr noundef nonnull %47)
  br label %144

144:                                              ; preds = %143, %141
  %145 = icmp eq i64 %138, 0
  br i1 %145, label %148, label %146

146:                                              ; preds = %144
  %147 = call ptr @PyLong_FromLongLong(i64 noundef %138) #9
  br label %149

148:                                              ; preds = %144
  call void @Py_IncRef(ptr noundef nonnull @_Py_NoneStruct) #9
  br label %149

149:                                              ; preds = %109, %107, %148, %146, %31, %44, %17
  %150 = phi ptr [ null, %17 ], [ null, %31 ], [ @_Py_NoneStruct, %148 ], [ %45, %44 ], [ %147, %146 ], [ null, %107 ], [ null, %109 ]
  call void @llvm.lifetime.end.p0(ptr nonnull %4) #9
  ret ptr %150
}

declare double @PyFloat_AsDouble(ptr noundef) local_unnamed_addr #4

declare ptr @PyErr_Occurred() local_unnamed_addr #4

declare i64 @PyLong_AsLongLongAndOverflow(ptr noundef, ptr noundef) local_unnamed_addr #4

declare i64 @PyLong_AsUnsignedLongLong(ptr noundef) local_unnamed_addr #4

declare i32 @PyObject_IsTrue(ptr noundef) local_unnamed_addr #4

declare i32 @pthread_create(ptr noundef, ptr noundef, ptr noundef, ptr noundef) local_unnamed_addr #4

; Function Attrs: noreturn nounwind uwtable
define internal noalias noundef nonnull ptr @worker(ptr readnone captures(none) %0) #7 {
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
  %18 = tail call i64 (i64, ...) @syscall(i64 noundef %17, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 128), i32 noundef 128, i32 noundef %3, i32 noundef 0, i32 noundef 0, i32 noundef 0) #9
  %19 = atomicrmw sub ptr getelementptr inbounds nuw (i8, ptr @pool, i64 192), i32 1 seq_cst, align 64
  br label %20

20:                                               ; preds = %15, %11
  %21 = phi i32 [ 0, %15 ], [ %13, %11 ]
  %22 = load atomic i32, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 128) acquire, align 64
  %23 = icmp eq i32 %22, %3
  br i1 %23, label %11, label %6, !llvm.loop !51

24:                                               ; preds = %6
  %25 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !46
  %26 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %25 monotonic, align 64
  %27 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !45
  %28 = icmp slt i64 %26, %27
  br i1 %28, label %29, label %42

29:                                               ; preds = %24, %29
  %30 = phi i64 [ %40, %29 ], [ %27, %24 ]
  %31 = phi i64 [ %39, %29 ], [ %26, %24 ]
  %32 = phi i64 [ %38, %29 ], [ %25, %24 ]
  %33 = add nsw i64 %32, %31
  %34 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 512), align 64, !tbaa !42
  %35 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 520), align 8, !tbaa !43
  %36 = load ptr, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 528), align 16, !tbaa !44
  %37 = tail call i64 @llvm.smin.i64(i64 %33, i64 %30)
  tail call void %34(ptr noundef %35, ptr noundef %36, i64 noundef %31, i64 noundef %37) #9
  %38 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 544), align 32, !tbaa !46
  %39 = atomicrmw add ptr getelementptr inbounds nuw (i8, ptr @pool, i64 448), i64 %38 monotonic, align 64
  %40 = load i64, ptr getelementptr inbounds nuw (i8, ptr @pool, i64 536), align 8, !tbaa !45
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
  %50 = tail call i64 (i64, ...) @syscall(i64 noundef %49, ptr noundef nonnull getelementptr inbounds nuw (i8, ptr @pool, i64 320), i32 noundef 129, i32 noundef 2147483647, i32 noundef 0, i32 noundef 0, i32 noundef 0) #9
  br label %51

51:                                               ; preds = %48, %45, %42
  br label %2
}

declare i32 @pthread_detach(i64 noundef) local_unnamed_addr #4

declare i64 @syscall(i64 noundef, ...) local_unnamed_addr #4

declare ptr @PyLong_FromLongLong(i64 noundef) local_unnamed_addr #4

declare void @Py_IncRef(ptr noundef) local_unnamed_addr #4

declare i32 @PyType_IsSubtype(ptr noundef, ptr noundef) local_unnamed_addr #4

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.smin.i64(i64, i64) #8

attributes #0 = { mustprogress nofree norecurse nosync nounwind willreturn memory(write, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #1 = { mustprogress nofree norecurse nosync nounwind willreturn memory(readwrite, argmem: none, inaccessiblemem: none, target_mem0: none, target_mem1: none) uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #2 = { nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #3 = { mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite) }
attributes #4 = { "no-trapping-math"="true" }
attributes #5 = { mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" }
attributes #6 = { mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" }
attributes #7 = { noreturn nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" }
attributes #8 = { nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }
attributes #9 = { nounwind }
attributes #10 = { allocsize(0) }

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
!32 = !{!33, !33, i64 0}
!33 = !{!"p1 _ZTS6object", !11, i64 0}
!34 = distinct !{!34, !31}
!35 = !{!36, !11, i64 8}
!36 = !{!"object", !13, i64 0, !11, i64 8}
!37 = !{!38, !11, i64 16}
!38 = !{!"", !36, i64 0, !11, i64 16}
!39 = distinct !{!39, !31}
!40 = distinct !{!40, !31}
!41 = distinct !{!41, !31}
!42 = !{!22, !11, i64 512}
!43 = !{!22, !23, i64 520}
!44 = !{!22, !23, i64 528}
!45 = !{!22, !13, i64 536}
!46 = !{!22, !13, i64 544}
!47 = distinct !{!47, !31}
!48 = distinct !{!48, !31}
!49 = distinct !{!49, !31}
!50 = distinct !{!50, !31}
!51 = distinct !{!51, !31}
